// Child processes for the scripts: inherits the terminal, rejects with the command line on failure.
import { spawn } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

/** Windows: npm, npx and whatever else is a .cmd file need a shell, which parts what has blanks and no quotes. */
const needsShell = (command) => process.platform === 'win32' && /^np[mx]$|\.(cmd|bat)$/i.test(command);
const quoted = (text) => (/\s/.test(text) ? `"${text}"` : text);
let output = 1;

/** From now on stdout is for results alone: what this script and its children tell goes to stderr. Gives the way back. */
export function keepStdout() {
  const { log } = console;
  console.log = console.error;
  output = 2;
  return () => {
    console.log = log;
    output = 1;
  };
}

/**
 * @param {string} command
 * @param {string[]} args
 * @param {import('node:child_process').SpawnOptions} [options]
 * @returns {Promise<void>}
 */
export function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const shell = needsShell(command);
    const parts = shell ? [command, ...args].map(quoted) : [command, ...args];
    const child = spawn(parts[0], parts.slice(1), { stdio: ['inherit', output, 'inherit'], shell, ...options });
    child.once('error', (error) => reject(new Error(`Could not run ${command}: ${error.message}`)));
    child.once('exit', (code, signal) => {
      if (code === 0) resolve();
      else reject(new Error(`${command} ${args.join(' ')} ended with ${signal ?? `exit code ${code}`}`));
    });
  });
}

/** Runs a script's main function; an error becomes one line and exit code 1. */
export function runMain(main) {
  main().catch((error) => {
    console.error(error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
  });
}

/** True when `url` is the file node was started with. */
export function isMain(url) {
  return process.argv[1] !== undefined && url === pathToFileURL(realpathSync(process.argv[1])).href;
}

// `npm start`: builds what is missing, then opens the product on a copy of the sample workspace: in desktop VS Code where
// `code` is on the PATH, else in the VS Code server, until Ctrl-C. `--no-open` always takes the server.
import { randomBytes } from 'node:crypto';
import { cpSync, existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { ROOT, build } from './build.mjs';
import { findOnPath } from './chromium.mjs';
import { run, runMain } from './process.mjs';
import { ensureVsCodeServer, startVsCodeServer } from './vscode-server.mjs';

/** A copy, so that edits made while trying the product are no changes of the repository; kept between starts. */
function sampleWorkspace() {
  const copy = path.join(ROOT, 'build/sample-workspace');
  if (!existsSync(copy)) cpSync(path.join(ROOT, 'test/fixtures/sample-workspace'), copy, { recursive: true });
  return copy;
}

async function openInDesktop(code, workspace) {
  await run(code, [`--extensionDevelopmentPath=${ROOT}`, workspace]);
  console.log(`SpecDiff is open in VS Code on ${workspace}. Type in a file, or select lines and summarize them.`);
}

async function openInServer(workspace) {
  const server = await ensureVsCodeServer(ROOT);
  const directory = path.join(ROOT, 'build/start');
  mkdirSync(directory, { recursive: true });
  const interrupted = new Promise((resolve) => {
    for (const name of ['SIGINT', 'SIGTERM']) process.once(name, resolve);
  });
  // Who gets in has this user's files and a terminal.
  const token = randomBytes(16).toString('hex');
  const running = await startVsCodeServer({ directory, server, extension: ROOT, token });
  console.log('\nSpecDiff runs in VS Code. Open this address in a browser on this machine:\n');
  console.log(`  ${running.url}/?tkn=${token}&folder=${encodeURI(workspace)}\n`);
  console.log('Type in a file to see ghost text; select lines and run "SpecDiff: Summarize Selection" (F1).');
  console.log('Ctrl-C ends it.');
  await Promise.race([interrupted, running.ended]);
  await running.stop();
}

runMain(async () => {
  await build();
  const workspace = sampleWorkspace();
  const code = process.argv.includes('--no-open') ? null : findOnPath('code');
  if (code === null) await openInServer(workspace);
  else await openInDesktop(code, workspace);
});

// `npm run complete -- …` and `npm run summarize -- …`: builds what is missing, then hands over to dist/cli.js.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { ROOT, build } from './build.mjs';
import { keepStdout, runMain } from './process.mjs';

runMain(async () => {
  const cli = path.join(ROOT, 'dist/cli.js');
  if (!existsSync(cli)) {
    const back = keepStdout();
    await build();
    back();
  }
  // npm runs scripts in the package's root; FILE is meant from where the user stands.
  const cwd = process.env.INIT_CWD ?? process.cwd();
  const child = spawn(process.execPath, [cli, ...process.argv.slice(2)], { cwd, stdio: 'inherit' });
  process.exitCode = await new Promise((resolve) => child.once('exit', (code) => resolve(code ?? 1)));
});

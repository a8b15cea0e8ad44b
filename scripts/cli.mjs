// `npm run complete -- …` and `npm run summarize -- …`: builds what is missing quietly, then hands over to dist/cli.js.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { ROOT, build } from './build.mjs';
import { run, runMain } from './process.mjs';

runMain(async () => {
  const cli = path.join(ROOT, 'dist/cli.js');
  if (!existsSync(cli)) {
    // stdout belongs to the completion.
    console.log = console.error;
    await build();
  }
  const child = run(process.execPath, [cli, ...process.argv.slice(2)], { cwd: process.env.INIT_CWD ?? process.cwd(), shell: false });
  await child.catch(() => {
    process.exitCode = 1;
  });
});

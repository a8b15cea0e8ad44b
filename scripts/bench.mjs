// `npm run bench`: builds what is missing, pauses our own training, and measures every drafter on the held-out prompts;
// with --full in every setting, and beside other programs (bench/engine/full.ts).
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ROOT, build } from './build.mjs';
import { run, runMain } from './process.mjs';

/** While this file exists, training in this clone waits. */
const PAUSE = path.join(ROOT, 'training/work/PAUSE');

/** Makes training wait, where nobody else does already; gives what ends that. */
function pauseTraining() {
  mkdirSync(path.dirname(PAUSE), { recursive: true });
  try {
    writeFileSync(PAUSE, `bench ${process.pid}\n`, { flag: 'wx' });
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    return () => {};
  }
  const goOn = () => rmSync(PAUSE, { force: true });
  // Ctrl-C reaches the measuring child too, and this process outlasts it.
  process.on('SIGINT', () => {});
  process.once('SIGTERM', () => {
    goOn();
    process.exit(143);
  });
  return goOn;
}

runMain(async () => {
  await build();
  const { build: bundle } = await import('esbuild');
  const name = process.argv.includes('--full') ? 'full' : 'main';
  const outfile = path.join(ROOT, `build/bench/${name}.js`);
  await bundle({
    entryPoints: [path.join(ROOT, `bench/engine/${name}.ts`)],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    logLevel: 'warning',
  });
  const goOn = pauseTraining();
  try {
    await run(process.execPath, [outfile, '--root', ROOT, ...process.argv.slice(2)], { cwd: ROOT, shell: false });
  } finally {
    goOn();
  }
});

// `node bench/editor/latency.mjs`: bundles and runs latency.ts, which shares the end-to-end tests' TypeScript harness.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';
import { run, runMain } from '../../scripts/process.mjs';

const ROOT = path.resolve(import.meta.dirname, '../..');
/** While this file exists, training in this clone waits. */
const PAUSE = path.join(ROOT, 'training/work/PAUSE');

runMain(async () => {
  const outfile = path.join(ROOT, 'build/bench/editor-latency.mjs');
  await build({
    entryPoints: [path.join(ROOT, 'bench/editor/latency.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    packages: 'external',
    // These find their own folder by import.meta: they stay files of their own.
    external: [path.join(ROOT, 'scripts/*')],
    logLevel: 'warning',
  });
  mkdirSync(path.dirname(PAUSE), { recursive: true });
  writeFileSync(PAUSE, `bench ${process.pid}\n`);
  try {
    await run(process.execPath, [outfile, ROOT, ...process.argv.slice(2)], { shell: false });
  } finally {
    rmSync(PAUSE, { force: true });
  }
});

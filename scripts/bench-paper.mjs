// `npm run bench:paper`: builds what is missing, then compares vanilla, standard speculative decoding and SpecDiff.
import path from 'node:path';
import { ROOT, build } from './build.mjs';
import { keepStdout, run, runMain } from './process.mjs';

runMain(async () => {
  const back = keepStdout();
  await build();
  back();
  const { build: bundle } = await import('esbuild');
  const outfile = path.join(ROOT, 'build/bench/paper.js');
  await bundle({
    entryPoints: [path.join(ROOT, 'bench/paper/main.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    logLevel: 'warning',
  });
  await run(process.execPath, [outfile, '--root', ROOT, ...process.argv.slice(2)], { shell: false });
});

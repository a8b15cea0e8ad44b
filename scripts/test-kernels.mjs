// `npm run test:kernels`: every check of the CPU kernels, for every instruction set that this machine runs (`npm test` has a
// shorter form). `-- --sanitize`: kernels and checks with AddressSanitizer and UBSan.
import path from 'node:path';
import { ROOT } from './build.mjs';
import { run, runMain } from './process.mjs';

runMain(() => {
  const extent = process.argv.includes('--sanitize') ? 'sanitize' : 'full';
  const vitest = path.join(ROOT, 'node_modules/vitest/vitest.mjs');
  return run(process.execPath, [vitest, 'run', 'test/kernels'], {
    cwd: ROOT,
    env: { ...process.env, SPECDIFF_KERNEL_TESTS: extent },
  });
});

// What training/ runs besides Python: the native programs, the CPU kernels and the bundle that writes answers by the product's rules.
// Runnable alone: `node scripts/training.mjs`. Quick when nothing changed.
import os from 'node:os';
import path from 'node:path';
import { ROOT } from './build.mjs';
import { installKernels } from './kernels.mjs';
import { buildNative } from './native.mjs';
import { isMain, runMain } from './process.mjs';
import { hashFiles, onlyWhenChanged } from './stamp.mjs';

const ENTRY = 'training/answers/main.ts';
const INPUTS = ['training/answers', 'server', 'protocol', 'scripts/training.mjs', 'package.json'];

export async function buildTraining() {
  await buildNative(ROOT, { jobs: os.availableParallelism() });
  await installKernels(ROOT, { all: false });
  const outfile = path.join(ROOT, 'build/training/answers.js');
  const ran = await onlyWhenChanged(
    path.join(ROOT, 'build/training.stamp'),
    hashFiles(ROOT, INPUTS),
    [outfile],
    async () => {
      const { build } = await import('esbuild');
      const node = { bundle: true, platform: 'node', format: 'cjs', target: 'node20', logLevel: 'warning' };
      await build({ ...node, absWorkingDir: ROOT, entryPoints: [ENTRY], outfile });
    },
  );
  console.log(ran ? 'Bundled the answers of training/.' : "The answers' bundle is up to date.");
}

if (isMain(import.meta.url)) runMain(buildTraining);

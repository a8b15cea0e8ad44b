// `npm run build`: everything needed before the product can be opened; a second run changes nothing.
// Uses only Node's own modules at the top, since it runs before the dependencies are installed.
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { isMain, run, runMain } from './process.mjs';
import { hashFiles, onlyWhenChanged } from './stamp.mjs';

export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const NODE_MAJOR = 20;

function checkPrerequisites() {
  const major = Number(process.versions.node.split('.')[0]);
  if (major < NODE_MAJOR) {
    throw new Error(
      `Node ${process.versions.node} is too old: install Node ${NODE_MAJOR} or later, then run this again.`,
    );
  }
}

async function installDependencies() {
  const modules = path.join(ROOT, 'node_modules');
  const key = hashFiles(ROOT, ['package-lock.json', '.npmrc'], process.versions.modules);
  // Not `npm ci`: it refuses a lock without the optional packages of other platforms, which some registry mirrors lack.
  const ran = await onlyWhenChanged(
    path.join(modules, '.specdiff-installed'),
    key,
    [path.join(modules, 'esbuild')],
    () => run('npm', ['install', '--no-save', '--no-audit', '--no-fund'], { cwd: ROOT }),
  );
  console.log(ran ? 'Dependencies installed.' : 'Dependencies are up to date.');
}

async function fetchTarget() {
  await run(process.execPath, [path.join(ROOT, 'dist/cli.js'), 'fetch-model', '--extension-root', ROOT], { cwd: ROOT });
}

/**
 * @param {{ model?: boolean, allKernels?: boolean }} options `model: false` leaves the target out (a package without it);
 *   `allKernels` builds the CPU kernels of every generation, not only this machine's
 */
export async function build({ model = true, allKernels = false } = {}) {
  checkPrerequisites();
  await installDependencies();
  const { buildNative } = await import('./native.mjs');
  await buildNative(ROOT, { jobs: os.availableParallelism() });
  const { installKernels } = await import('./kernels.mjs');
  await installKernels(ROOT, { all: allKernels });
  const { bundle } = await import('./bundle.mjs');
  await bundle();
  if (model) await fetchTarget();
}

if (isMain(import.meta.url)) runMain(() => build());

// Builds llama.cpp's own server from the pinned source, for this CPU and as its own CMake files say: what the benchmark
// compares with (`npm run bench -- --full --peer …`). Not needed by the product. Run it as `node scripts/llamaServer.mjs`;
// it takes 20 minutes of a core and prints the program's path.
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { machineVariant } from './kernels.mjs';
import { llamaRelease } from './llama.mjs';
import { isMain, run, runMain } from './process.mjs';
import { onlyWhenChanged } from './stamp.mjs';

const JOBS = 2;
/** Nothing is downloaded, and what a server for one user does not need is left out. */
const SETTINGS = {
  CMAKE_BUILD_TYPE: 'Release',
  BUILD_SHARED_LIBS: 'OFF',
  GGML_NATIVE: 'ON',
  LLAMA_BUILD_TESTS: 'OFF',
  LLAMA_BUILD_EXAMPLES: 'OFF',
  LLAMA_BUILD_APP: 'OFF',
  LLAMA_BUILD_UI: 'OFF',
  LLAMA_USE_PREBUILT_UI: 'OFF',
  LLAMA_OPENSSL: 'OFF',
};
/**
 * For a CPU with AMX: GCC 12 takes llama.cpp's tile configuration for 8 bytes and drops the stores to the other 56, and the
 * server ends with SIGILL. Npm's libraries were built by another compiler.
 */
const KEEP_STORES = { CMAKE_CXX_FLAGS: '-fno-tree-dse -fno-dse' };

/**
 * @param {string} root the clone
 * @returns {Promise<string>} path of the program
 * @throws with the compiler's output on the terminal where it can't be built
 */
export async function buildLlamaServer(root) {
  const peers = path.join(root, 'build/peers');
  const source = path.join(peers, 'llama.cpp');
  const build = path.join(peers, 'llama-server');
  const program = path.join(build, 'bin', process.platform === 'win32' ? 'llama-server.exe' : 'llama-server');
  const amx = machineVariant() === 'sapphirerapids';
  const settings = Object.entries({ ...SETTINGS, ...(amx ? KEEP_STORES : {}) }).map(
    ([name, value]) => `-D${name}=${value}`,
  );
  // Compiling for many minutes is to disturb nobody.
  os.setPriority(os.constants.priority.PRIORITY_BELOW_NORMAL);
  await onlyWhenChanged(path.join(peers, 'source.stamp'), llamaRelease(root), [source], () => checkOut(root, source));
  await onlyWhenChanged(`${build}.stamp`, [llamaRelease(root), ...settings].join(' '), [program], async () => {
    await run('cmake', ['-S', source, '-B', build, '--log-level=WARNING', ...settings]);
    await run('cmake', [
      '--build',
      build,
      '--target',
      'llama-server',
      '--config',
      'Release',
      '--parallel',
      String(JOBS),
    ]);
  });
  return program;
}

/** The whole tree, which the engine's sparse checkout (llama.mjs) leaves out. */
function checkOut(root, source) {
  rmSync(source, { recursive: true, force: true });
  const git = (...args) => execFileSync('git', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  git('init', '--quiet', source);
  const bundle = path.join(root, 'node_modules/node-llama-cpp/llama/gitRelease.bundle');
  git('-C', source, 'fetch', '--quiet', bundle, 'HEAD');
  git('-C', source, 'checkout', '--quiet', 'FETCH_HEAD');
}

if (isMain(import.meta.url)) {
  runMain(async () =>
    console.log(await buildLlamaServer(path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..'))),
  );
}

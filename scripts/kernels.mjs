// Rebuilds llama.cpp's CPU backend library from the pinned source with native/kernels in it.
// Runnable alone: `node scripts/kernels.mjs`; with --tools also the tests' and the benchmark's programs.
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { isMain, run, runMain } from './process.mjs';
import { hashFiles, onlyWhenChanged } from './stamp.mjs';

/** What a build of ggml-cpu and of programs on libllama reads; a sparse checkout keeps the rest of the tree out. */
const SOURCES = ['include', 'ggml/include', 'ggml/src/ggml-cpu', 'src'];
/** CPU generations we build for, best first, by the flags Linux names; AMX is left to llama.cpp's own library. */
const VARIANTS = [
  {
    name: 'zen4',
    flags: ['avx512f', 'avx512bw', 'avx512vl', 'avx512dq', 'avx512cd', 'avx512vbmi', 'avx512_vnni', 'avx512_bf16'],
  },
  { name: 'icelake', flags: ['avx512f', 'avx512bw', 'avx512vl', 'avx512dq', 'avx512cd', 'avx512vbmi', 'avx512_vnni'] },
  { name: 'cascadelake', flags: ['avx512f', 'avx512bw', 'avx512vl', 'avx512dq', 'avx512cd', 'avx512_vnni'] },
  { name: 'alderlake', flags: ['avx2', 'fma', 'f16c', 'bmi2', 'avx_vnni'] },
  { name: 'haswell', flags: ['avx2', 'fma', 'f16c', 'bmi2'] },
];

const readJson = (file) => JSON.parse(readFileSync(file, 'utf8'));
const nativeFolder = `${process.platform}-${process.arch}`;

/** The generation of this machine's CPU that we have kernels for; null where llama.cpp's own libraries serve. */
export function machineVariant() {
  if (nativeFolder !== 'linux-x64') return null;
  const flags = new Set(/^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1]?.trim().split(/\s+/) ?? []);
  return VARIANTS.find((variant) => variant.flags.every((flag) => flags.has(flag)))?.name ?? null;
}

/** File name of a generation's library, beside llama.cpp's own (libggml-cpu-zen4.so), which stay selectable. */
export const kernelLibrary = (variant) => `libggml-cpu-specdiff-${variant}.so`;

/** Checks out llama.cpp's sources from the bundle that comes with the prebuilt libraries. */
async function checkOut(root, release) {
  const source = path.join(root, 'build/kernels/llama.cpp');
  const bundle = path.join(root, 'node_modules/node-llama-cpp/llama/gitRelease.bundle');
  const stamp = path.join(root, 'build/kernels/llama.cpp.stamp');
  await onlyWhenChanged(
    stamp,
    `${release} ${SOURCES}`,
    SOURCES.map((folder) => path.join(source, folder)),
    async () => {
      rmSync(source, { recursive: true, force: true });
      const git = (...args) => execFileSync('git', args, { stdio: ['ignore', 'ignore', 'pipe'] });
      git('init', '--quiet', source);
      git('-C', source, 'fetch', '--quiet', bundle, 'HEAD');
      git('-C', source, 'sparse-checkout', 'set', ...SOURCES);
      git('-C', source, 'checkout', '--quiet', 'FETCH_HEAD');
    },
  );
  return source;
}

function prebuiltFolder(root) {
  const folder = path.join(root, 'node_modules/@node-llama-cpp', nativeFolder, 'bins', nativeFolder);
  if (!existsSync(folder)) {
    throw new Error(`llama.cpp's prebuilt libraries for ${nativeFolder} are missing: run \`npm ci\`.`);
  }
  return folder;
}

/**
 * @typedef {object} KernelBuild
 * @property {string} variant CPU generation
 * @property {string} library path of the library
 * @property {string} prebuilt folder of llama.cpp's own libraries of the same version
 * @property {string} source llama.cpp's checkout
 * @property {string} build folder with the programs, when they were asked for
 */

/**
 * Builds this machine's library into dist/native; does nothing where there are no kernels for its CPU.
 * @param {string} root the clone
 * @param {{ jobs?: number, tools?: boolean, sanitize?: boolean }} [options] sanitize: builds library and programs with
 *   AddressSanitizer and UBSan in a folder of their own and leaves dist/native alone
 * @returns {Promise<KernelBuild | null>}
 */
export async function buildKernels(root, { jobs = os.availableParallelism(), tools = false, sanitize = false } = {}) {
  const variant = machineVariant();
  if (variant === null) {
    console.log("CPU kernels: none for this CPU or platform; llama.cpp's own library computes.");
    return null;
  }
  const release = readJson(path.join(root, 'node_modules/node-llama-cpp/llama/binariesGithubRelease.json')).release;
  const prebuilt = prebuiltFolder(root);
  const name = `${variant}${sanitize ? '-sanitize' : ''}`;
  const build = path.join(root, 'build/kernels', name);
  const built = path.join(build, kernelLibrary(variant));
  const folder = path.join(root, 'dist/native', nativeFolder);
  const library = sanitize ? built : path.join(folder, kernelLibrary(variant));
  const inputs = ['native/kernels', 'scripts/kernels.mjs', ...(tools ? ['test/kernels', 'bench/kernels'] : [])];
  const source = await checkOut(root, release);
  const stamp = path.join(root, `build/kernels/${name}${tools ? '-tools' : ''}.stamp`);
  const ran = await onlyWhenChanged(stamp, hashFiles(root, inputs, `${release} ${name}`), [built], async () => {
    const settings = {
      CMAKE_BUILD_TYPE: 'Release',
      LLAMA_SOURCE: source,
      LLAMA_BINARIES: prebuilt,
      VARIANT: variant,
      TOOLS: tools ? 'ON' : 'OFF',
      SANITIZE: sanitize ? 'ON' : 'OFF',
    };
    const definitions = Object.entries(settings).map(([key, value]) => `-D${key}=${value}`);
    mkdirSync(build, { recursive: true });
    await run('cmake', ['-S', path.join(root, 'native/kernels'), '-B', build, '--log-level=WARNING', ...definitions]);
    await run('cmake', ['--build', build, '--parallel', String(jobs), '--', '--no-print-directory', '-s']);
  });
  if (!sanitize) {
    // dist/native is put together anew by the engine's own build: copy whenever the file isn't there or isn't this one.
    if (ran || !existsSync(library)) {
      mkdirSync(folder, { recursive: true });
      copyFileSync(built, `${library}.part`);
      renameSync(`${library}.part`, library);
    }
    for (const other of readdirSync(folder)) {
      if (/^libggml-cpu-specdiff-.*\.so$/.test(other) && other !== kernelLibrary(variant))
        rmSync(path.join(folder, other));
    }
  }
  console.log(ran ? `CPU kernels built: ${path.relative(root, library)}` : 'CPU kernels are up to date.');
  return { variant, library, prebuilt, source, build };
}

if (isMain(import.meta.url)) {
  const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
  const wants = (flag) => process.argv.includes(flag);
  runMain(() => buildKernels(root, { tools: wants('--tools'), sanitize: wants('--sanitize') }));
}

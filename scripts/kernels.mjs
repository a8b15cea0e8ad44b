// Rebuilds llama.cpp's CPU backend library from the pinned source with native/kernels in it.
// Runnable alone, for this machine: `node scripts/kernels.mjs`; with --all for every CPU generation of the platform.
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkOutLlama, llamaRelease, nativeFolder, prebuiltFolder } from './llama.mjs';
import { isMain, run, runMain } from './process.mjs';
import { hashFiles, onlyWhenChanged } from './stamp.mjs';

const HASWELL = ['avx2', 'fma', 'f16c', 'bmi2'];
const CASCADE_LAKE = ['avx512f', 'avx512bw', 'avx512vl', 'avx512dq', 'avx512cd', 'avx512_vnni'];
const ZEN4 = [...CASCADE_LAKE, 'avx512vbmi', 'avx512_bf16'];
/**
 * CPU generations by platform, best first, by the flags Linux names. A library holds our kernels of its generation and of
 * those below it, and llama.cpp's own code compiled for it. Only those that differ for us: haswell and alderlake by our
 * kernels (AVX2, AVX-VNNI), cascadelake by ours for AVX-512 VNNI, zen4 by llama.cpp's BF16 products, sapphirerapids by
 * ours for AMX, which the probe turns down where tiles trap. icelake would add
 * AVX-512 VBMI, which occurs nowhere in either. ARM: 8-bit matrix products come with and without SVE, which llama.cpp's
 * code uses and ours doesn't; CPUs with dot products and without f16 arithmetic hardly exist.
 */
const GENERATIONS = {
  'linux-x64': [
    { name: 'sapphirerapids', flags: [...ZEN4, 'amx_tile', 'amx_bf16'] },
    { name: 'zen4', flags: ZEN4 },
    { name: 'cascadelake', flags: CASCADE_LAKE },
    { name: 'alderlake', flags: [...HASWELL, 'avx_vnni'] },
    { name: 'haswell', flags: HASWELL },
  ],
  'linux-arm64': [
    { name: 'armv8.6_1', flags: ['asimddp', 'asimdhp', 'sve', 'i8mm'] },
    { name: 'armv8.6_nosve', flags: ['asimddp', 'asimdhp', 'i8mm'] },
    { name: 'armv8.2_2', flags: ['asimddp', 'asimdhp'] },
  ],
};
/** CMake's settings for another platform than this machine's, with the compilers' names on Debian. */
const CROSS = {
  'linux-arm64': {
    CMAKE_SYSTEM_NAME: 'Linux',
    CMAKE_SYSTEM_PROCESSOR: 'aarch64',
    CMAKE_C_COMPILER: 'aarch64-linux-gnu-gcc',
    CMAKE_CXX_COMPILER: 'aarch64-linux-gnu-g++',
  },
};
const KERNEL_LIBRARY = /^libggml-cpu-specdiff-.*\.so$/;

/** Names of the generations that the platform's package carries; empty where there are no kernels for it. */
export const kernelVariants = (platform = nativeFolder()) => (GENERATIONS[platform] ?? []).map(({ name }) => name);

/** The generation of this machine's CPU that we have kernels for; null where llama.cpp's own libraries serve. */
export function machineVariant() {
  const generations = GENERATIONS[nativeFolder()] ?? [];
  if (generations.length === 0) return null;
  const text = readFileSync('/proc/cpuinfo', 'utf8');
  const flags = new Set(/^(?:flags|Features)\s*:(.*)$/m.exec(text)?.[1]?.trim().split(/\s+/) ?? []);
  return generations.find((generation) => generation.flags.every((flag) => flags.has(flag)))?.name ?? null;
}

/** File name of a generation's library, beside llama.cpp's own (libggml-cpu-zen4.so), which stay selectable. */
export const kernelLibrary = (variant) => `libggml-cpu-specdiff-${variant}.so`;

/**
 * @typedef {object} KernelBuild
 * @property {string} variant CPU generation
 * @property {string} library path of the library
 * @property {string} prebuilt folder of llama.cpp's own libraries of the same version
 * @property {string} source llama.cpp's checkout
 * @property {string} build folder with the library, and with the programs when they were asked for
 * @property {boolean} ran false where everything was up to date
 */

/**
 * Builds one generation's library below build/kernels.
 * @param {string} root the clone
 * @param {string} variant CPU generation
 * @param {{ jobs?: number, tools?: boolean, sanitize?: boolean, platform?: string }} [options] tools: also the programs
 *   of tests and benchmark; sanitize: our kernels and the checking program with AddressSanitizer and UBSan, in a folder
 *   of its own; platform: another than this machine's needs its compilers
 * @returns {Promise<KernelBuild>}
 * @throws one sentence with the compiler's first error where the library can't be built
 */
export async function buildKernels(
  root,
  variant,
  { jobs = os.availableParallelism(), tools = false, sanitize = false, platform = nativeFolder() } = {},
) {
  const prebuilt = prebuiltFolder(root, platform);
  const source = await checkOutLlama(root);
  const name = `${variant}${sanitize ? '-sanitize' : ''}`;
  const build = path.join(root, 'build/kernels', name);
  const library = path.join(build, kernelLibrary(variant));
  const inputs = ['native/kernels', 'scripts/kernels.mjs', 'scripts/llama.mjs'];
  if (tools) inputs.push('test/kernels', 'bench/kernels');
  const stampOf = (programs) => path.join(root, `build/kernels/${name}${programs ? '-tools' : ''}.stamp`);
  const key = hashFiles(root, inputs, `${llamaRelease(root)} ${name}`);
  const ran = await onlyWhenChanged(stampOf(tools), key, [library], async () => {
    // Both builds leave the one library.
    rmSync(stampOf(!tools), { force: true });
    const settings = {
      CMAKE_BUILD_TYPE: 'Release',
      LLAMA_SOURCE: source,
      LLAMA_BINARIES: prebuilt,
      VARIANT: variant,
      TOOLS: tools ? 'ON' : 'OFF',
      SANITIZE: sanitize ? 'ON' : 'OFF',
      ...(platform === nativeFolder() ? {} : CROSS[platform]),
    };
    const definitions = Object.entries(settings).map(([setting, value]) => `-D${setting}=${value}`);
    mkdirSync(build, { recursive: true });
    console.log(`Building CPU kernels (${name}) …`);
    await logged(path.join(build, 'build.log'), root, [
      ['cmake', ['-S', path.join(root, 'native/kernels'), '-B', build, '--log-level=WARNING', ...definitions]],
      ['cmake', ['--build', build, '--parallel', String(jobs), '--', '--no-print-directory', '-s']],
    ]);
  });
  return { variant, library, prebuilt, source, build, ran };
}

/** Runs the commands with their output in a file, since hundreds of lines of compiler help nobody but who looks for them. */
async function logged(file, root, commands) {
  const log = openSync(file, 'w');
  try {
    for (const [command, args] of commands) await run(command, args, { stdio: ['ignore', log, log] });
  } catch (error) {
    const lines = readFileSync(file, 'utf8').split('\n');
    const at = lines.findIndex((line) => /\berror\b/i.test(line));
    // CMake puts the message on the lines after "CMake Error at …".
    const reason = (at < 0 ? error.message : lines[at].startsWith('CMake Error') ? lines[at + 1] : lines[at]).trim();
    throw new Error(`${reason} (all of it in ${path.relative(root, file)})`);
  } finally {
    closeSync(log);
  }
}

/**
 * Puts kernel libraries beside the engine's others in dist/native, and takes away those of other builds. Where one can't
 * be built, says so in a sentence and leaves the work to llama.cpp's own.
 * @param {string} root the clone
 * @param {{ all?: boolean, jobs?: number }} [options] all: every generation of the platform, else this machine's
 */
export async function installKernels(root, { all = false, jobs } = {}) {
  const machine = machineVariant();
  const variants = all ? kernelVariants() : machine === null ? [] : [machine];
  // Where its tiles trap, the probe turns the AMX library down: the next one has to be there.
  if (!all && machine === 'sapphirerapids') variants.push('zen4');
  if (variants.length === 0)
    console.log(
      `CPU kernels: none for ${machine === null && kernelVariants().length > 0 ? 'this processor' : nativeFolder()}; llama.cpp's own library computes.`,
    );
  const folder = path.join(root, 'dist/native', nativeFolder());
  mkdirSync(folder, { recursive: true });
  const installed = [];
  for (const variant of variants) {
    try {
      const { library, ran } = await buildKernels(root, variant, { jobs });
      const copied = install(library, path.join(folder, kernelLibrary(variant)));
      console.log(ran || copied ? `CPU kernels built: ${variant}.` : `CPU kernels are up to date: ${variant}.`);
      installed.push(kernelLibrary(variant));
    } catch (error) {
      console.log(`CPU kernels (${variant}) could not be built; llama.cpp's own library computes: ${error.message}`);
    }
  }
  for (const file of readdirSync(folder)) {
    if (KERNEL_LIBRARY.test(file) && !installed.includes(file)) rmSync(path.join(folder, file));
  }
}

/** False where the same file is there already. Running processes keep the one they have open. */
function install(built, to) {
  if (existsSync(to) && readFileSync(to).equals(readFileSync(built))) return false;
  copyFileSync(built, `${to}.part`);
  renameSync(`${to}.part`, to);
  return true;
}

if (isMain(import.meta.url)) {
  const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
  runMain(() => installKernels(root, { all: process.argv.includes('--all') }));
}

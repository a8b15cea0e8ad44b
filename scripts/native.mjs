// Builds native/ on llama.cpp's prebuilt libraries and puts everything the engine needs into dist/native/<platform>-<arch>.
// Runnable alone: `node scripts/native.mjs`. Quick when nothing changed.
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { isMain, run, runMain } from './process.mjs';
import { hashFiles, onlyWhenChanged } from './stamp.mjs';

/** Not native/kernels: they are a library of their own (kernels.mjs). */
const ENGINE_SOURCES = ['CMakeLists.txt', 'package.json', 'core', 'addon', 'cli', 'test'].map(
  (name) => `native/${name}`,
);

/** Where the prebuilt libraries of this platform lie: the sibling package of node-llama-cpp with the least in it. */
const PREBUILT = {
  'linux-x64': 'linux-x64',
  'linux-arm64': 'linux-arm64',
  'linux-arm': 'linux-armv7l',
  'darwin-arm64': 'mac-arm64-metal',
  'darwin-x64': 'mac-x64',
  'win32-x64': 'win-x64',
  'win32-arm64': 'win-arm64',
};
/** llama.cpp's headers; a sparse checkout keeps the rest of the tree out. */
const HEADERS = ['include', 'ggml/include', 'src'];
/** Prebuilt libraries that the engine loads; llama.cpp's own tools are not needed. */
const LIBRARY = /^(lib)?(llama|ggml)[^/]*\.(so|dylib|dll|metal|metallib)$/;
const NOT_NEEDED = /common|addon/;

const readJson = (file) => JSON.parse(readFileSync(file, 'utf8'));

/** Folder name of the native files of one platform below dist/native. */
export const nativeFolder = (platform = process.platform, arch = process.arch) => `${platform}-${arch}`;

function prebuiltFolder(root) {
  const name = PREBUILT[nativeFolder()];
  const folder = name && path.join(root, 'node_modules/@node-llama-cpp', name, 'bins', name);
  if (!folder || !existsSync(folder)) {
    throw new Error(
      `llama.cpp's prebuilt libraries for ${nativeFolder()} are missing: run \`npm ci\`, or use a platform that node-llama-cpp ships libraries for.`,
    );
  }
  return folder;
}

/** Checks out llama.cpp's headers from the bundle that comes with the libraries. */
async function checkOutHeaders(root, release) {
  const source = path.join(root, 'build/llama.cpp');
  const bundle = path.join(root, 'node_modules/node-llama-cpp/llama/gitRelease.bundle');
  await onlyWhenChanged(
    path.join(root, 'build/llama.cpp.stamp'),
    release,
    HEADERS.map((folder) => path.join(source, folder)),
    async () => {
      rmSync(source, { recursive: true, force: true });
      const git = (...args) => execFileSync('git', args, { stdio: ['ignore', 'ignore', 'pipe'] });
      git('init', '--quiet', source);
      git('-C', source, 'fetch', '--quiet', bundle, 'HEAD');
      git('-C', source, 'sparse-checkout', 'set', ...HEADERS);
      git('-C', source, 'checkout', '--quiet', 'FETCH_HEAD');
    },
  );
  return source;
}

function assemble(root, prebuilt) {
  const output = path.join(root, 'dist/native', nativeFolder());
  const part = `${output}.part`;
  rmSync(part, { recursive: true, force: true });
  mkdirSync(part, { recursive: true });
  for (const name of readdirSync(prebuilt)) {
    if (LIBRARY.test(name) && !NOT_NEEDED.test(name)) copyFileSync(path.join(prebuilt, name), path.join(part, name));
  }
  const built = path.join(root, 'build/native');
  const program = process.platform === 'win32' ? 'specdiff-engine.exe' : 'specdiff-engine';
  for (const file of ['Release/specdiff.node', program]) {
    copyFileSync(path.join(built, file), path.join(part, path.basename(file)));
  }
  // Running processes keep the files they have open.
  rmSync(output, { recursive: true, force: true });
  renameSync(part, output);
}

/**
 * @param {string} root the clone
 * @param {{ jobs?: number }} [options]
 */
export async function buildNative(root, { jobs = os.availableParallelism() } = {}) {
  const release = readJson(path.join(root, 'node_modules/node-llama-cpp/llama/binariesGithubRelease.json')).release;
  const versions = ['node-llama-cpp', 'node-addon-api', 'node-api-headers', 'cmake-js'].map(
    (name) => `${name}@${readJson(path.join(root, 'node_modules', name, 'package.json')).version}`,
  );
  const prebuilt = prebuiltFolder(root);
  const key = hashFiles(
    root,
    [...ENGINE_SOURCES, 'scripts/native.mjs'],
    [release, nativeFolder(), ...versions].join(' '),
  );
  const output = path.join(root, 'dist/native', nativeFolder());
  const ran = await onlyWhenChanged(
    path.join(root, 'build/native.stamp'),
    key,
    [path.join(output, 'specdiff.node'), path.join(root, 'build/native/Release/specdiff_test.node')],
    async () => {
      const source = await checkOutHeaders(root, release);
      const cmakeJs = path.join(root, 'node_modules/cmake-js/bin/cmake-js');
      const common = [
        '-d',
        path.join(root, 'native'),
        '-O',
        path.join(root, 'build/native'),
        '-l',
        'warn',
        '--prefer-make',
      ];
      const paths = [`--CDLLAMA_SOURCE=${source}`, `--CDLLAMA_BINARIES=${prebuilt}`];
      await run(process.execPath, [cmakeJs, 'configure', ...common, ...paths], { cwd: root });
      await run(process.execPath, [cmakeJs, 'build', ...common, '--parallel', String(jobs)], { cwd: root });
      assemble(root, prebuilt);
    },
  );
  console.log(ran ? `Native engine built: ${path.relative(root, output)}` : 'Native engine is up to date.');
}

if (isMain(import.meta.url)) {
  runMain(() => buildNative(path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..')));
}

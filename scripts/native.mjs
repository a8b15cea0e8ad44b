// Builds native/ on llama.cpp's prebuilt libraries and puts everything the engine needs into dist/native/<platform>-<arch>.
// Runnable alone: `node scripts/native.mjs`. Quick when nothing changed.
import { copyFileSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkOutLlama, llamaRelease, nativeFolder, prebuiltFolder } from './llama.mjs';
import { isMain, run, runMain } from './process.mjs';
import { hashFiles, onlyWhenChanged } from './stamp.mjs';

/** Not native/kernels: they are a library of their own (kernels.mjs). */
const ENGINE_SOURCES = ['CMakeLists.txt', 'package.json', 'core', 'addon', 'cli', 'training', 'test'].map(
  (name) => `native/${name}`,
);

/** Prebuilt libraries that the engine loads; llama.cpp's own tools are not needed. */
const LIBRARY = /^(lib)?(llama|ggml)[^/]*\.(so|dylib|dll|metal|metallib)$/;
const NOT_NEEDED = /common|addon/;

const readJson = (file) => JSON.parse(readFileSync(file, 'utf8'));

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
  const versions = ['node-llama-cpp', 'node-addon-api', 'node-api-headers', 'cmake-js'].map(
    (name) => `${name}@${readJson(path.join(root, 'node_modules', name, 'package.json')).version}`,
  );
  const prebuilt = prebuiltFolder(root);
  const key = hashFiles(
    root,
    [...ENGINE_SOURCES, 'scripts/native.mjs', 'scripts/llama.mjs'],
    [llamaRelease(root), nativeFolder(), ...versions].join(' '),
  );
  const output = path.join(root, 'dist/native', nativeFolder());
  const ran = await onlyWhenChanged(
    path.join(root, 'build/native.stamp'),
    key,
    [path.join(output, 'specdiff.node'), path.join(root, 'build/native/Release/specdiff_test.node')],
    async () => {
      const source = await checkOutLlama(root);
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

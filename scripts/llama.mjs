// llama.cpp as node-llama-cpp ships it, exactly pinned: the prebuilt libraries of this platform and the source they are of.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { onlyWhenChanged } from './stamp.mjs';

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
/** What the engine and the CPU kernels compile against; a sparse checkout keeps the rest of the tree out. */
const SOURCES = ['include', 'ggml/include', 'ggml/src/ggml-cpu', 'src'];

/** Folder name of the native files of one platform below dist/native. */
export const nativeFolder = (platform = process.platform, arch = process.arch) => `${platform}-${arch}`;

export const llamaRelease = (root) =>
  JSON.parse(readFileSync(path.join(root, 'node_modules/node-llama-cpp/llama/binariesGithubRelease.json'), 'utf8'))
    .release;

/**
 * Folder with the prebuilt libraries.
 * @throws where npm has not installed any for the platform
 */
export function prebuiltFolder(root, platform = nativeFolder()) {
  const name = PREBUILT[platform];
  const folder = name && path.join(root, 'node_modules/@node-llama-cpp', name, 'bins', name);
  if (!folder || !existsSync(folder)) {
    throw new Error(
      `llama.cpp's prebuilt libraries for ${platform} are missing: run \`npm ci\`, or use a platform that node-llama-cpp ships libraries for.`,
    );
  }
  return folder;
}

/** Checks the sources out of the bundle that comes with the libraries; returns their folder. */
export async function checkOutLlama(root) {
  const source = path.join(root, 'build/llama.cpp');
  const bundle = path.join(root, 'node_modules/node-llama-cpp/llama/gitRelease.bundle');
  await onlyWhenChanged(
    path.join(root, 'build/llama.cpp.stamp'),
    `${llamaRelease(root)} ${SOURCES}`,
    SOURCES.map((folder) => path.join(source, folder)),
    () => {
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

// Bundles the extension, the language server, the engine process, the CLI and the webview script into dist/.
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { isMain, runMain } from './process.mjs';
import { hashFiles, onlyWhenChanged } from './stamp.mjs';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

const NODE = { platform: 'node', format: 'cjs', target: 'node20' };
const BROWSER = { platform: 'browser', format: 'iife', target: 'es2022' };

/** What is shipped. */
const PRODUCT = [
  { entryPoints: ['extension/main.ts'], outfile: 'dist/extension.js', ...NODE, external: ['vscode'] },
  { entryPoints: ['server/main.ts'], outfile: 'dist/server.js', ...NODE },
  { entryPoints: ['server/engine/process.ts'], outfile: 'dist/engine.js', ...NODE },
  { entryPoints: ['server/cli/main.ts'], outfile: 'dist/cli.js', ...NODE },
  { entryPoints: ['media/telemetry/main.ts'], outfile: 'dist/media/telemetry.js', ...BROWSER },
];
/** The suite that runs inside VS Code's extension host. */
const TESTS = [
  { entryPoints: ['test/suite/index.ts'], outfile: 'dist/test/suite/index.js', ...NODE, external: ['vscode', 'mocha'] },
];
const INPUTS = [
  'extension',
  'server',
  'protocol',
  'media',
  'test/suite',
  'scripts/bundle.mjs',
  'package.json',
  'models/catalogue.json',
];

async function buildAll(bundles, options) {
  const esbuild = await import('esbuild');
  const common = { absWorkingDir: ROOT, bundle: true, minify: true, logLevel: 'warning', legalComments: 'none' };
  return Promise.all(bundles.map((entry) => esbuild.build({ ...common, ...entry, ...options })));
}

/** esbuild's account of which files went into each shipped bundle; writes nothing. */
export async function metafiles() {
  const results = await buildAll(PRODUCT, { metafile: true, write: false });
  return results.map((result) => result.metafile);
}

export async function bundle() {
  const all = [...PRODUCT, ...TESTS];
  const outputs = all.map((entry) => path.join(ROOT, entry.outfile));
  const ran = await onlyWhenChanged(path.join(ROOT, 'build/bundle.stamp'), hashFiles(ROOT, INPUTS), outputs, () =>
    buildAll(all, {}),
  );
  console.log(ran ? `Bundled ${all.length} entry points into dist/.` : 'Bundles are up to date.');
}

if (isMain(import.meta.url)) runMain(bundle);

// Bundles the extension, the language server, the engine process, the CLI and the webview script into dist/.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { isMain, runMain } from './process.mjs';
import { hashFiles, onlyWhenChanged } from './stamp.mjs';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

const NODE_BUNDLES = [
  { entry: 'extension/main.ts', out: 'dist/extension.js', external: ['vscode'] },
  { entry: 'server/main.ts', out: 'dist/server.js', external: [] },
  { entry: 'server/engine/process.ts', out: 'dist/engine.js', external: [] },
  { entry: 'server/cli/main.ts', out: 'dist/cli.js', external: [] },
];
const WEBVIEW_BUNDLES = [{ entry: 'media/telemetry/main.ts', out: 'dist/media/telemetry.js' }];
const SUITE_BUNDLE = { entry: 'test/suite/index.ts', out: 'dist/test/suite/index.js', external: ['vscode', 'mocha'] };

export async function bundle({ force = false, log = console.log } = {}) {
  const all = [...NODE_BUNDLES, ...WEBVIEW_BUNDLES, SUITE_BUNDLE].filter((b) => existsSync(path.join(ROOT, b.entry)));
  const inputs = ['extension', 'server', 'protocol', 'media', 'test/suite', 'scripts/bundle.mjs', 'package.json', 'models/catalogue.json'];
  const key = force ? `forced ${Date.now()}` : hashFiles(ROOT, inputs);
  const ran = await onlyWhenChanged(
    path.join(ROOT, 'build/bundle.stamp'),
    key,
    all.map((b) => path.join(ROOT, b.out)),
    async () => {
      const esbuild = await import('esbuild');
      const common = { absWorkingDir: ROOT, bundle: true, sourcemap: false, minify: true, logLevel: 'warning', legalComments: 'none' };
      const builds = all.map((b) =>
        esbuild.build({
          ...common,
          entryPoints: [b.entry],
          outfile: b.out,
          ...('external' in b
            ? { platform: 'node', format: 'cjs', target: 'node20', external: [...b.external, '*.node'] }
            : { platform: 'browser', format: 'iife', target: 'es2022' }),
        }),
      );
      await Promise.all(builds);
    },
  );
  log(ran ? `Bundled ${all.length} entry points into dist/.` : 'Bundles are up to date.');
}

if (isMain(import.meta.url)) runMain(() => bundle());

// `npm run package [-- --no-model]`: a VSIX for this platform with everything inside.
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ROOT, build } from './build.mjs';
import { kernelLibrary, kernelVariants } from './kernels.mjs';
import { nativeFolder } from './llama.mjs';
import { writeNotices } from './notices.mjs';
import { isMain, runMain } from './process.mjs';

/** A file of the package that matches none of these was not meant to be there. */
const EXPECTED = [
  /^package(\.nls)?\.json$/,
  /^(README\.md|CHANGELOG\.md|SECURITY\.md|LICENSE(\.txt)?|THIRD_PARTY_NOTICES)$/,
  /^media\/[\w./-]+\.(svg|png|css|md)$/,
  /^dist\/(extension|server|engine|cli|media\/telemetry)\.js$/,
  /^dist\/native\/[\w-]+\/[\w.-]+\.(node|so|dylib|dll|json)$/,
  /^models\/(catalogue\.json|[\w.-]+\.gguf|cache\/[\w.-]+\.gguf)$/,
];
/** A package without one of these can't work, or not as fast as it should. */
const REQUIRED = [
  'dist/extension.js',
  'dist/server.js',
  'dist/engine.js',
  'dist/media/telemetry.js',
  `dist/native/${nativeFolder()}/specdiff.node`,
  'models/catalogue.json',
  'THIRD_PARTY_NOTICES',
];

/**
 * @param {{ model?: boolean, allKernels?: boolean, folder?: string }} options `model: false` leaves the target out;
 *   `allKernels: false` packs the CPU kernels of this machine's generation only; `folder`: where the package goes
 * @returns {Promise<string>} the package's path
 */
export async function packageExtension({ model = true, allKernels = true, folder = ROOT } = {}) {
  await build({ model, allKernels });
  await writeNotices();
  const { createVSIX, listFiles } = await import('@vscode/vsce');

  let ignoreFile;
  if (!model) {
    ignoreFile = path.join(ROOT, 'build/vscodeignore-no-model');
    // Taking the line out, since an added one could not win over it.
    const lines = readFileSync(path.join(ROOT, '.vscodeignore'), 'utf8').split('\n');
    writeFileSync(ignoreFile, lines.filter((line) => !line.startsWith('!models/cache/')).join('\n'));
  }
  const files = await listFiles({ cwd: ROOT, ignoreFile, dependencies: false });
  const unexpected = files.filter((file) => !EXPECTED.some((pattern) => pattern.test(file)));
  if (unexpected.length > 0) throw new Error(`The package would hold files it should not: ${unexpected.join(', ')}`);
  const platforms = files.filter(
    (file) => file.startsWith('dist/native/') && !file.startsWith(`dist/native/${nativeFolder()}/`),
  );
  if (platforms.length > 0)
    throw new Error(
      `dist/native holds builds of other platforms (${platforms[0]}, …): remove them, then run this again.`,
    );
  const kernels = allKernels ? kernelVariants().map(kernelLibrary) : [];
  const catalogue = JSON.parse(readFileSync(path.join(ROOT, 'models/catalogue.json'), 'utf8'));
  const { file, drafter } = catalogue.models.find((entry) => entry.default);
  const weights = [`models/${drafter}`, ...(model ? [`models/cache/${file}`] : [])];
  const required = [...REQUIRED, ...weights, ...kernels.map((library) => `dist/native/${nativeFolder()}/${library}`)];
  const missing = required.filter((file) => !files.includes(file));
  if (missing.length > 0)
    throw new Error(`The package would lack ${missing.join(', ')}; run \`npm run build\` and look for errors.`);

  const target = nativeFolder();
  const { version } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8'));
  const packagePath = path.join(folder, `specdiff-${target}-${version}${model ? '' : '-no-model'}.vsix`);
  await createVSIX({
    cwd: ROOT,
    packagePath,
    target,
    ignoreFile,
    dependencies: false,
    allowMissingRepository: true,
    rewriteRelativeLinks: false,
    skipLicense: false,
  });
  const megabytes = (statSync(packagePath).size / 1e6).toFixed(1);
  console.log(`${path.relative(ROOT, packagePath)}: ${megabytes} MB, ${files.length} files`);
  return packagePath;
}

if (isMain(import.meta.url)) runMain(() => packageExtension({ model: !process.argv.includes('--no-model') }));

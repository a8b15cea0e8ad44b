// Writes THIRD_PARTY_NOTICES: what is inside the package, found from the bundles themselves, and the native parts.
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ROOT } from './build.mjs';
import { isMain, runMain } from './process.mjs';
import { metafiles } from './bundle.mjs';

const ALLOWED = /^(MIT|Apache-2\.0|BSD-[23]-Clause|ISC|MPL-2\.0|BlueOak-1\.0\.0)$/;

function licenceText(folder) {
  const name = readdirSync(folder).find((file) => /^(licen[cs]e|copying)/i.test(file));
  return name === undefined ? null : readFileSync(path.join(folder, name), 'utf8').trim();
}

/** Folders of the npm packages whose code esbuild put into a bundle. */
async function bundledPackages() {
  const folders = new Set();
  for (const metafile of await metafiles()) {
    for (const input of Object.keys(metafile.inputs)) {
      const match = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input);
      if (match !== null) folders.add(match[1]);
    }
  }
  return [...folders].sort();
}

export async function thirdPartyNotices() {
  const sections = [];
  const add = (name, licence, text) => {
    if (!ALLOWED.test(licence)) throw new Error(`${name} has licence ${licence}, which this project does not take.`);
    sections.push(`${name} — ${licence}\n\n${text}`);
  };
  for (const folder of await bundledPackages()) {
    const manifest = JSON.parse(readFileSync(path.join(ROOT, folder, 'package.json'), 'utf8'));
    add(
      `${manifest.name} ${manifest.version}`,
      manifest.license,
      licenceText(path.join(ROOT, folder)) ?? `Copyright its authors; see its package.`,
    );
  }
  for (const name of ['node-addon-api', 'node-api-headers']) {
    const folder = path.join(ROOT, 'node_modules', name);
    const manifest = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));
    add(`${name} ${manifest.version}`, manifest.license, licenceText(folder) ?? 'See its package.');
  }
  const bindings = JSON.parse(readFileSync(path.join(ROOT, 'node_modules/node-llama-cpp/package.json'), 'utf8'));
  add(
    `llama.cpp and ggml libraries, as built by node-llama-cpp ${bindings.version}, and its CPU library rebuilt with our kernels`,
    'MIT',
    [licenceText(path.join(ROOT, 'build/llama.cpp')), licenceText(path.join(ROOT, 'node_modules/node-llama-cpp'))]
      .filter((text) => text !== null)
      .join('\n\n'),
  );
  const catalogue = JSON.parse(readFileSync(path.join(ROOT, 'models/catalogue.json'), 'utf8'));
  // TypeScript's is the Apache License 2.0, whole.
  const apache = readFileSync(path.join(ROOT, 'node_modules/typescript/LICENSE.txt'), 'utf8').trim();
  for (const { name, licence, source, drafter } of catalogue.models) {
    add(`${name} (model)`, licence, `Weights as shipped in ${source.package} ${source.version}.\n\n${apache}`);
    const derived = `Drafter trained for ${name}; it began with weights of that model and was changed: two of its layers, trained further.`;
    add(`${drafter} (model)`, licence, `${derived} The licence's text stands above.`);
  }
  const rule = `\n\n${'-'.repeat(80)}\n\n`;
  return `SpecDiff for VS Code contains the following third-party material.${rule}${sections.join(rule)}\n`;
}

export async function writeNotices() {
  const file = path.join(ROOT, 'THIRD_PARTY_NOTICES');
  const text = await thirdPartyNotices();
  if (!existsSync(file) || readFileSync(file, 'utf8') !== text) writeFileSync(file, text);
}

if (isMain(import.meta.url)) runMain(writeNotices);

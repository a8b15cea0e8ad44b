/**
 * What bench/on_gpu.sh packs besides programs: `prepare FOLDER` writes the prompts as text files, prompts/<set>-….txt, and
 * a tiny random target with a drafter, whose sampled texts can be counted.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { writeTinyDrafter, writeTinyTarget } from '../../test/support/tinyModel';
import { readPrompts } from '../engine/prompts';

const [root, folder] = process.argv.slice(2);
if (root === undefined || folder === undefined) throw new Error('usage: prepare ROOT FOLDER');
const prompts = path.join(folder, 'prompts');
const tiny = path.join(folder, 'tiny');
for (const each of [prompts, tiny]) mkdirSync(each, { recursive: true });
for (const { id, before } of readPrompts(root, ['code', 'edit', 'prose']))
  writeFileSync(path.join(prompts, `${id}.txt`), before);
writeTinyTarget(tiny);
writeTinyDrafter(tiny, 'drafter', { seed: 2, blockSize: 5, sampleFromAnchor: true, slotInit: 'lookup' });
writeFileSync(path.join(tiny, 'prompt.txt'), 'cehcehdcehce');

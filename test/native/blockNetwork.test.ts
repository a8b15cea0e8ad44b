/** The block drafter's two networks, ours (in a CPU's shapes and in a GPU's) and llama.cpp's: on the same weights they draft the same tokens. */
import { rmSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { NativeAddon, NativeEngine } from '../../server/engine/addon';
import { writeGguf } from '../support/gguf';
import { generate, jobOf, nativeAddon, temporaryFolder } from '../support/native';
import { seeded } from '../support/random';
import { TINY_CONTEXT, TINY_VOCABULARY, tinyDrafter, tinyTarget, writeTinyTarget } from '../support/tinyModel';

const folder = temporaryFolder();
const targetPath = writeTinyTarget(folder);
const HEAD_WIDTH = 16;
let addon: NativeAddon;

beforeAll(() => {
  addon = nativeAddon();
});
afterEach(() => {
  delete process.env.SPECDIFF_SHAPES;
  delete process.env.SPECDIFF_RUNNER;
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** `explicit` says the usual scale of the scores outright: a key that our graph does not know, so that llama.cpp's is taken. */
function drafterFile(name: string, options: Parameters<typeof tinyDrafter>[0], explicit: boolean): string {
  const file = path.join(folder, `${name}.gguf`);
  const { metadata, tensors } = tinyDrafter(options);
  const scale = { 'dflash.attention.scale': { type: 'f32', value: 1 / Math.sqrt(HEAD_WIDTH) } } as const;
  writeGguf(file, explicit ? { ...metadata, ...scale } : metadata, tensors);
  return file;
}

describe.each([
  { seed: 5, blockSize: 4, sampleFromAnchor: false, slotInit: 'mask', draftVocabulary: 12 },
  { seed: 8, blockSize: 7, sampleFromAnchor: true, slotInit: 'lookup', draftVocabulary: 20 },
  { seed: 8, blockSize: 7, sampleFromAnchor: true, slotInit: 'lookup', draftVocabulary: 20, shortlist: true },
] as const)('a drafter of %o', (options) => {
  it('drafts the same in all', async () => {
    const passes = [];
    for (const [shapes, explicit] of [
      ['cpu', false],
      ['gpu', false],
      ['cpu', true],
    ] as const) {
      process.env.SPECDIFF_SHAPES = shapes;
      const drafterPath = drafterFile(`${options.seed}-${'shortlist' in options}-${explicit}`, options, explicit);
      const load = { targetPath, drafterPath, threads: 1, contextTokens: TINY_CONTEXT, treeNodes: 0, learned: null };
      const engine = await addon.load(load);
      expect(engine.drafterNote).toBeNull();
      const uniform = seeded(9);
      const all = [];
      // More rows than llama.cpp's network adds in one pass, then short ones that keep some of the cache, then drafts of
      // fewer slots.
      for (const [length, draftLength] of [
        [120, 0],
        [20, 3],
        [60, 2],
      ] as const) {
        const prompt = Array.from({ length }, () => 4 + Math.floor(uniform() * (TINY_VOCABULARY.length - 4)));
        for (const most of [1, prompt.length]) {
          const text = prompt.slice(0, Math.max(most, 10));
          const alone = { drafter: 'diffusion', draftLength: draftLength || options.blockSize - 1 } as const;
          // Longer than the block: what is behind its last slot is looked up.
          const joint = { drafter: 'joint', draftLength: 12 } as const;
          for (const job of [alone, joint]) {
            const { passes: made } = await generate(engine, jobOf(text, { maxTokens: 60, ...job }));
            all.push(...made.map(({ drafted, accepted, tokens }) => ({ drafted, accepted, tokens: [...tokens] })));
          }
        }
      }
      passes.push(all);
      await engine.dispose();
    }
    const [own, filled, theirs] = passes;
    expect(own!.reduce((sum, { accepted }) => sum + accepted, 0)).toBeGreaterThan(0);
    expect(filled).toEqual(own);
    expect(own).toEqual(theirs);
  });
});

describe('a head of more entries than a shortlist has', () => {
  const vocabulary = [...TINY_VOCABULARY, ...Array.from({ length: 70 }, (_, i) => `w${i}`)];
  const options = { seed: 11, blockSize: 7, sampleFromAnchor: true, slotInit: 'lookup', shortlist: true } as const;
  const many = { ...options, vocabulary, draftVocabulary: 80 };

  /** What is drafted and written with these shapes, threads and job. */
  async function drafted(shapes: string, threads: number, job: Parameters<typeof jobOf>[1]) {
    process.env.SPECDIFF_SHAPES = shapes;
    const manyTarget = path.join(folder, 'many-target.gguf');
    const { metadata, tensors } = tinyTarget(15, vocabulary);
    writeGguf(manyTarget, metadata, tensors);
    const drafterPath = drafterFile('many', many, false);
    const load = {
      targetPath: manyTarget,
      drafterPath,
      threads,
      contextTokens: TINY_CONTEXT,
      treeNodes: 7,
      learned: null,
    };
    const engine = await addon.load(load);
    expect(engine.drafterNote).toBeNull();
    const uniform = seeded(2);
    const prompt = Array.from({ length: 40 }, () => 4 + Math.floor(uniform() * (vocabulary.length - 4)));
    const { passes, tokens } = await generate(engine, jobOf(prompt, job));
    await engine.dispose();
    return { tokens, passes: passes.map(({ drafted, accepted }) => ({ drafted, accepted })) };
  }

  it('drafts as the whole head does, on any number of threads', async () => {
    const job = { maxTokens: 60, drafter: 'diffusion', draftLength: 6 } as const;
    const whole = await drafted('gpu', 1, job);
    expect(whole.passes.reduce((sum, { accepted }) => sum + accepted, 0)).toBeGreaterThan(0);
    for (const threads of [1, 2, 3]) expect(await drafted('cpu', threads, job)).toEqual(whole);
  });
});

describe('a text longer than the slots see', () => {
  it.each(['cpu', 'gpu'])('is drafted alike whatever was drafted before, in the shapes of a %s', async (shapes) => {
    process.env.SPECDIFF_SHAPES = shapes;
    const options = { seed: 8, blockSize: 7, sampleFromAnchor: true, slotInit: 'lookup', draftVocabulary: 20 } as const;
    const { metadata, tensors } = tinyTarget(3);
    const contextTokens = 512;
    const longTarget = path.join(folder, 'long.gguf');
    writeGguf(longTarget, { ...metadata, 'llama.context_length': { type: 'u32', value: contextTokens } }, tensors);
    const drafterPath = drafterFile('window', options, false);
    const load = { targetPath: longTarget, drafterPath, threads: 1, contextTokens, treeNodes: 0, learned: null };
    const uniform = seeded(4);
    const text = Array.from({ length: 440 }, () => 4 + Math.floor(uniform() * (TINY_VOCABULARY.length - 4)));
    // Drawn drafts with the same seed: other slots would give another text.
    const drafted = async (engine: NativeEngine, length: number, maxTokens = 40) => {
      const sampling = { temperature: 1, seed: 7 };
      const job = { maxTokens, drafter: 'diffusion', draftLength: 6, acceptance: 'tokens', sampling } as const;
      const { passes } = await generate(engine, jobOf(text.slice(0, length), job));
      return passes.map(({ accepted, tokens }) => ({ accepted, tokens: [...tokens] }));
    };
    const used = await addon.load(load);
    // From the whole to less and less of it, and back: rows that were left out come late, others stay.
    for (const length of [440, 300, 130, 330, 440]) {
      const fresh = await addon.load(load);
      const expected = await drafted(fresh, length);
      const found = await drafted(used, length);
      expect(found, String(length)).toEqual(expected);
      await fresh.dispose();
    }
    // Slots behind 384 to 399 rows see those from 256 on in either shape.
    const found = await drafted(used, 384, 14);
    await used.dispose();
    // Without kept graphs the target's embedding is read from its file.
    process.env.SPECDIFF_RUNNER = 'llama';
    const fromFile = await addon.load(load);
    expect(await drafted(fromFile, 384, 14)).toEqual(found);
    await fromFile.dispose();
    delete process.env.SPECDIFF_RUNNER;
    process.env.SPECDIFF_SHAPES = 'cpu';
    const other = await addon.load(load);
    expect(await drafted(other, 384, 14)).toEqual(found);
    await other.dispose();
  });
});

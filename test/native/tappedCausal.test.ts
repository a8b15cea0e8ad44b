/** A drafter on the target's hidden states that drafts token by token. */
import { rmSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { GenerateJob, NativeAddon } from '../../server/engine/addon';
import { writeGguf } from '../support/gguf';
import { generate, jobOf, nativeAddon, temporaryFolder, testAddon } from '../support/native';
import { seeded } from '../support/random';
import {
  TINY_CONTEXT,
  TINY_VOCABULARY,
  type TinyDrafterOptions,
  tinyDrafter,
  writeTinyDrafter,
  writeTinyTarget,
} from '../support/tinyModel';

const folder = temporaryFolder();
const targetPath = writeTinyTarget(folder);
const DRAFT_VOCABULARY = 20;
const options: TinyDrafterOptions = {
  ...{ seed: 6, blockSize: 7, sampleFromAnchor: true, draftVocabulary: DRAFT_VOCABULARY },
  slotInit: 'mask',
};
const block = writeTinyDrafter(folder, 'block', options);
const causal = writeTinyDrafter(folder, 'causal', { ...options, autoregressive: true });
let addon: NativeAddon;

beforeAll(() => {
  addon = nativeAddon();
});
afterEach(() => {
  delete process.env.SPECDIFF_SHAPES;
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each(['cpu', 'gpu'])('its network, in the shapes of a %s', (shapes) => {
  const uniform = seeded(3);
  const taps = Float32Array.from({ length: 20 * 2 * 32 }, () => uniform() - 0.5);
  const drafted = (slots: readonly number[], oneByOne: boolean) => {
    process.env.SPECDIFF_SHAPES = shapes;
    return testAddon().blockSlots(targetPath, causal, taps, Int32Array.from(slots), oneByOne);
  };

  it('sees the slots before a slot, whose keys and values are those of a whole block in a first layer', () => {
    const whole = drafted([7, 9, 12], false);
    const chain = drafted([7, 9, 12], true);
    const last = 2 * DRAFT_VOCABULARY;
    chain.slice(last).forEach((logit, i) => expect(logit).toBeCloseTo(whole[last + i]!, 4));
    const other = drafted([7, 10, 12], true);
    expect(Math.max(...chain.slice(last).map((logit, i) => Math.abs(logit - other[last + i]!)))).toBeGreaterThan(0.01);
  });

  it('sees nothing of the slots behind a slot', () => {
    const chain = drafted([7, 9, 12], true);
    const other = drafted([7, 9, 30], true);
    expect(other.slice(0, 2 * DRAFT_VOCABULARY)).toEqual(chain.slice(0, 2 * DRAFT_VOCABULARY));
    expect(drafted([7, 9], false)).not.toEqual(chain.slice(0, 2 * DRAFT_VOCABULARY));
  });
});

describe('in the engine', () => {
  const uniform = seeded(9);
  const prompt = Array.from({ length: 90 }, () => 4 + Math.floor(uniform() * (TINY_VOCABULARY.length - 4)));

  async function written(drafterPath: string, job: Partial<GenerateJob>) {
    const load = { targetPath, drafterPath, threads: 1, contextTokens: TINY_CONTEXT, treeNodes: 0, learned: null };
    const engine = await addon.load(load);
    expect(engine.drafterNote).toBeNull();
    // A text that is cut and goes on otherwise: rows come back, and slots of old drafts lie behind them.
    const texts = [];
    for (const length of [90, 40, 70]) {
      const { passes, tokens } = await generate(engine, jobOf(prompt.slice(0, length), { maxTokens: 60, ...job }));
      texts.push({ tokens, passes: passes.map(({ drafted, accepted }) => [drafted, accepted]) });
    }
    const { drafter } = engine;
    await engine.dispose();
    return { texts, kind: drafter?.kind };
  }
  const tokensOf = ({ texts }: Awaited<ReturnType<typeof written>>) => texts.map(({ tokens }) => tokens);

  it('drafts as block diffusion does where there is one slot', async () => {
    const one = await written(causal, { drafter: 'causal', draftLength: 1 });
    expect(one.texts).toEqual((await written(block, { drafter: 'diffusion', draftLength: 1 })).texts);
    expect(one.kind).toBe('causal');
    expect(one.texts.flatMap(({ passes }) => passes).some(([, accepted]) => accepted! > 0)).toBe(true);
  });

  it('changes no greedy text, whatever it drafts', async () => {
    const plain = await written(causal, { drafter: 'none' });
    for (const draftLength of [0, 2, 7]) {
      const drafted = await written(causal, { drafter: 'causal', draftLength });
      expect(tokensOf(drafted)).toEqual(tokensOf(plain));
      const longest = Math.max(...drafted.texts.flatMap(({ passes }) => passes).map(([count]) => count!));
      expect(longest).toBeLessThanOrEqual(draftLength || 7);
    }
    expect(tokensOf(await written(causal, { drafter: 'auto' }))).toEqual(tokensOf(plain));
  });

  it('says in one sentence why a file can not be drafted with so', async () => {
    const file = path.join(folder, 'other-graph.gguf');
    const { metadata, tensors } = tinyDrafter({ ...options, autoregressive: true });
    writeGguf(file, { ...metadata, 'dflash.attention.scale': { type: 'f32', value: 0.25 } }, tensors);
    const load = {
      targetPath,
      drafterPath: file,
      threads: 1,
      contextTokens: TINY_CONTEXT,
      treeNodes: 0,
      learned: null,
    };
    const engine = await addon.load(load);
    expect(engine.drafterNote).toMatch(
      /its slots are drafted one by one, in a graph that only llama.cpp knows; export it again\.$/,
    );
    await engine.dispose();
  });
});

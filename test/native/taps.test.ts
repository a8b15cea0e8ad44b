/** The target's passes, by kept graphs and by llama_decode, and hidden states of its layers, for any architecture. */
import { rmSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import {
  NATIVE_DIRECTORY,
  cpuLibrary,
  generate,
  jobOf,
  nativeAddon,
  temporaryFolder,
  testAddon,
} from '../support/native';
import { TARGET } from '../support/prompts';
import { seeded } from '../support/random';
import {
  TINY_CONTEXT,
  TINY_VOCABULARY,
  type TinyDrafterOptions,
  writeTinyDrafter,
  writeTinyTarget,
} from '../support/tinyModel';

const folder = temporaryFolder();
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const bits = (targetPath: string, taps: readonly number[], promptTokens: number, contextTokens: number) =>
  testAddon().tapBits(
    NATIVE_DIRECTORY,
    targetPath,
    Int32Array.from(taps),
    promptTokens,
    contextTokens,
    cpuLibrary('auto'),
  );

describe.each(['llama', 'qwen2', 'qwen3'] as const)('a %s target', (architecture) => {
  const targetPath = writeTinyTarget(folder, 1, architecture);
  const load = { targetPath, threads: 1, contextTokens: TINY_CONTEXT, treeNodes: 6, learned: null };
  const drafterFile = (name: string, options: Partial<TinyDrafterOptions>) =>
    writeTinyDrafter(folder, `${architecture}-${name}`, {
      seed: 2,
      blockSize: 4,
      sampleFromAnchor: true,
      slotInit: 'lookup',
      ...options,
    });

  it('has the same logits with taps as without, with kept graphs as with llama_decode, and the same taps', () => {
    const { keepsGraphs, layers, rows, differentLogits, tapRows, differentTaps } = bits(
      targetPath,
      [2, 1],
      90,
      TINY_CONTEXT,
    );
    expect(keepsGraphs).toBe(true);
    expect(layers).toBe(2);
    expect(rows).toBeGreaterThan(40);
    expect(differentLogits).toBe(0);
    // The prompt, which goes on from the first part of it, and the kept rows.
    expect(tapRows).toBeGreaterThan(2 * 90);
    expect(differentTaps).toBe(0);
  });

  it('is drafted for by a block drafter, and its text stays the same', async () => {
    const engine = await nativeAddon().load({ ...load, drafterPath: drafterFile('drafter', {}) });
    expect(engine.drafterNote).toBeNull();
    const uniform = seeded(4);
    let drafted = 0;
    let accepted = 0;
    for (let i = 0; i < 8; i += 1) {
      const prompt = Array.from(
        { length: 10 + 20 * i },
        () => 4 + Math.floor(uniform() * (TINY_VOCABULARY.length - 4)),
      );
      const plain = await generate(engine, jobOf(prompt, { maxTokens: 60 }));
      for (const treeNodes of [0, 6]) {
        const job = jobOf(prompt, { maxTokens: 60, drafter: 'diffusion', draftLength: 4, treeNodes });
        const { tokens, passes } = await generate(engine, job);
        expect(tokens).toEqual(plain.tokens);
        drafted += passes.reduce((sum, pass) => sum + pass.drafted, 0);
        accepted += passes.reduce((sum, pass) => sum + pass.accepted, 0);
      }
    }
    await engine.dispose();
    expect(drafted).toBeGreaterThan(500);
    expect(accepted).toBeGreaterThan(20);
  });
});

it('a target whose mask holds distances is left to llama_decode', () => {
  const { keepsGraphs, layers, differentLogits, differentTaps } = bits(
    writeTinyTarget(folder, 1, 'mpt'),
    [2, 1],
    90,
    TINY_CONTEXT,
  );
  expect(keepsGraphs).toBe(false);
  expect(layers).toBe(2);
  expect(differentLogits).toBe(0);
  expect(differentTaps).toBe(0);
});

it('a layer whose input no node holds is refused in a sentence, and the target goes on without the drafter', async () => {
  const drafterPath = writeTinyDrafter(folder, 'embeddings', {
    seed: 2,
    blockSize: 4,
    sampleFromAnchor: true,
    slotInit: 'mask',
    taps: [0, 2],
  });
  const engine = await nativeAddon().load({
    targetPath: writeTinyTarget(folder, 1, 'qwen2'),
    drafterPath,
    threads: 1,
    contextTokens: TINY_CONTEXT,
    treeNodes: 0,
    learned: null,
  });
  expect(engine.drafterNote).toBe(
    "The drafter tiny dflash can't be used: the input of layer 0 can't be read from qwen2 models; the n-gram drafter works with every target.",
  );
  expect(engine.drafter).toBeNull();
  const { tokens } = await generate(engine, jobOf([1, 7, 9, 12], { maxTokens: 8, drafter: 'ngram' }));
  expect(tokens.length).toBeGreaterThan(0);
  await engine.dispose();
});

it('on the default target all ways give the same bits, over several chunks of a prompt', { timeout: 120_000 }, () => {
  const taps = [2, 9, 15, 21, 28];
  const { keepsGraphs, layers, differentLogits, tapRows, differentTaps } = bits(TARGET, taps, 600, 1024);
  expect(keepsGraphs).toBe(true);
  expect(layers).toBe(5);
  expect(tapRows).toBeGreaterThan(5 * 600);
  expect(differentLogits).toBe(0);
  expect(differentTaps).toBe(0);
});

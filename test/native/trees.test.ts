/** Growing trees, and what a tree leaves behind in the target's cache. */
import { rmSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { LoadOptions, NativeAddon, NativeEngine } from '../../server/engine/addon';
import {
  NATIVE_DIRECTORY,
  cpuLibrary,
  generate,
  jobOf,
  nativeAddon,
  temporaryFolder,
  testAddon,
} from '../support/native';
import { seeded } from '../support/random';
import {
  TINY_CONTEXT,
  TINY_VOCABULARY,
  type TinyDrafterOptions,
  writeTinyDrafter,
  writeTinyTarget,
} from '../support/tinyModel';

const addon = testAddon();

describe('a tree', () => {
  type Guesses = (readonly [number, number])[];
  /** The same guesses behind every path of so many tokens. */
  const bySlots =
    (slots: readonly Guesses[]) =>
    (path: Int32Array): Guesses =>
      slots[path.length] ?? [];

  it('grows where the path is likeliest', () => {
    const slots: Guesses[] = [
      [
        [10, 0.6],
        [11, 0.3],
      ],
      [
        [20, 0.5],
        [21, 0.4],
      ],
    ];
    const { tokens, parents, chances } = addon.grow(bySlots(slots), 2, 6);
    // 0.6, 0.6 · 0.5, 0.3, 0.6 · 0.4, 0.3 · 0.5, 0.3 · 0.4; of two equally likely ones the older first
    expect(chances.map((chance) => Math.round(chance * 100))).toEqual([60, 30, 30, 24, 15, 12]);
    expect(new Set(tokens.slice(0, 3))).toEqual(new Set([10, 20, 11]));
    expect(tokens.slice(3)).toEqual([21, 20, 21]);
    const second = tokens.indexOf(11);
    expect(parents.filter((parent) => parent === -1)).toHaveLength(2);
    expect(parents.slice(4)).toEqual([second, second]);
  });

  it('asks what comes after each path for itself', () => {
    const asked: string[] = [];
    const after = (path: Int32Array): Guesses => {
      asked.push(path.join(' '));
      return path.at(-1) === 7
        ? [[8, 0.9]]
        : [
            [7, 0.5],
            [9, 0.4],
          ];
    };
    const { tokens, parents } = addon.grow(after, 3, 5);
    // 7 0.5, 7 8 0.45, 9 0.4, 7 8 7 0.225, 9 7 0.2
    expect(tokens).toEqual([7, 8, 9, 7, 7]);
    expect(parents).toEqual([-1, 0, -1, 1, 2]);
    expect(asked).toEqual(['', '7', '7 8', '9', '9 7']);
  });

  it('keeps siblings in their order where a later one is said to be likelier', () => {
    const { tokens, chances } = addon.grow(
      () => [
        [1, 0.2],
        [2, 0.3],
      ],
      1,
      2,
    );
    expect(tokens).toEqual([1, 2]);
    expect(chances).toEqual([0.2, 0.2]);
  });

  it('stays within its nodes and its depth', () => {
    const slots = Array.from({ length: 5 }, (_, slot) =>
      Array.from({ length: 5 }, (__, rank) => [10 * slot + rank, 0.2] as const),
    );
    expect(addon.grow(bySlots(slots), 5, 13).tokens).toHaveLength(13);
    expect(addon.grow(bySlots(slots), 1, 13).tokens).toEqual([0, 1, 2, 3, 4]);
    expect(addon.grow(() => [], 5, 13).tokens).toEqual([]);
  });
});

describe('on a random model', () => {
  const folder = temporaryFolder();
  const NODES = 12;
  const options: TinyDrafterOptions = { seed: 2, blockSize: 4, sampleFromAnchor: true, slotInit: 'lookup' };
  const uniform = seeded(3);
  const text = (length: number) =>
    Array.from({ length }, () => 4 + Math.floor(uniform() * (TINY_VOCABULARY.length - 4)));
  let native: NativeAddon;
  let load: LoadOptions;
  let engine: NativeEngine;

  beforeAll(async () => {
    native = nativeAddon();
    load = {
      targetPath: writeTinyTarget(folder),
      drafterPath: writeTinyDrafter(folder, 'tree', options),
      threads: 1,
      contextTokens: TINY_CONTEXT,
      treeNodes: NODES,
      learned: null,
    };
    engine = await native.load(load);
  });
  afterEach(() => {
    delete process.env.SPECDIFF_RUNNER;
  });
  afterAll(async () => {
    await engine.dispose();
    rmSync(folder, { recursive: true, force: true });
  });

  it('greedy text of every tree is the plain one', async () => {
    const chains = await native.load({ ...load, treeNodes: 0 });
    let branched = 0;
    let accepted = 0;
    for (let i = 0; i < 20; i += 1) {
      const prompt = text(4 + 3 * i);
      const lookup = Int32Array.from(text(150));
      const plain = await generate(chains, jobOf(prompt, { maxTokens: 80, lookup }));
      for (const drafter of ['ngram', 'diffusion', 'joint', 'auto'] as const) {
        for (const [treeNodes, draftLength] of [
          [0, 4],
          [3, 4],
          [NODES, 4],
          [NODES, 0],
        ] as const) {
          const job = jobOf(prompt, { maxTokens: 80, drafter, draftLength, lookup, treeNodes });
          const { tokens, passes } = await generate(engine, job);
          expect(tokens, `${drafter}, ${treeNodes}, ${draftLength}`).toEqual(plain.tokens);
          for (const { nodes, drafted } of passes) {
            if (draftLength > 0) expect(drafted).toBeLessThanOrEqual(draftLength);
            if (nodes === drafted) continue;
            expect(nodes).toBeLessThanOrEqual(treeNodes);
            branched += 1;
          }
          accepted += passes.reduce((sum, pass) => sum + pass.accepted, 0);
        }
      }
    }
    expect(branched).toBeGreaterThan(20);
    expect(accepted).toBeGreaterThan(20);
    await chains.dispose();
  });

  it.each(['automatic', 'llama'])('greedy text up to the end of the context is the plain one (%s)', async (runner) => {
    process.env.SPECDIFF_RUNNER = runner;
    const chains = await native.load({ ...load, treeNodes: 0 });
    const trees = await native.load(load);
    let branched = 0;
    for (let i = 0; i < 6; i += 1) {
      const prompt = text(TINY_CONTEXT - 20);
      const plain = await generate(chains, jobOf(prompt, { maxTokens: 60 }));
      expect(plain.tokens.length).toBeGreaterThan(10);
      for (const drafter of ['ngram', 'diffusion', 'joint'] as const) {
        const job = jobOf(prompt, { maxTokens: 60, drafter, draftLength: 4, treeNodes: NODES });
        const { tokens, passes } = await generate(trees, job);
        expect(tokens, drafter).toEqual(plain.tokens);
        branched += passes.filter(({ nodes, drafted }) => nodes > drafted).length;
      }
    }
    expect(branched).toBeGreaterThan(5);
    await Promise.all([chains.dispose(), trees.dispose()]);
  });

  it('a target made for chains drafts chains', async () => {
    const chains = await native.load({ ...load, treeNodes: 0 });
    const { passes } = await generate(chains, jobOf(text(20), { drafter: 'diffusion', draftLength: 4, treeNodes: 8 }));
    expect(passes.some(({ nodes }) => nodes > 0)).toBe(true);
    expect(passes.every(({ nodes, drafted }) => nodes === drafted)).toBe(true);
    await chains.dispose();
  });

  it.each(['automatic', 'llama'])('kept rows are those of a chain, also after dead cells were freed (%s)', (runner) => {
    process.env.SPECDIFF_RUNNER = runner;
    const probe = new addon.EngineProbe(NATIVE_DIRECTORY, load, cpuLibrary('auto'));
    for (const seed of [1, 2, 3]) {
      const { rows, greatest, deadCells } = probe.treeBits(Int32Array.from(text(20)), 60, seed);
      expect(rows).toBeGreaterThan(60);
      // Kept graphs move a path's rows together, and leave none.
      expect(deadCells).toBeGreaterThanOrEqual(runner === 'llama' ? 5 * NODES + 1 : 0);
      expect(deadCells).toBeLessThanOrEqual(runner === 'llama' ? 8 * NODES : 0);
      // Rounding: weights of 32 bits are no business of our kernels. test/parity compares bits.
      expect(greatest).toBeLessThan(0.02);
    }
  });
});

/** Growing trees, and what a tree leaves behind in the target's cache. */
import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
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
  it('grows where the path is likeliest', () => {
    const slots = [
      [
        [10, 0.6],
        [11, 0.3],
      ],
      [
        [20, 0.5],
        [21, 0.4],
      ],
    ] as const;
    const { tokens, parents, chances } = addon.grow(slots, [], 2, 6);
    // 0.6, 0.6 · 0.5, 0.3, 0.6 · 0.4, 0.3 · 0.5, 0.3 · 0.4; of two equally likely ones the older first
    expect(chances.map((chance) => Math.round(chance * 100))).toEqual([60, 30, 30, 24, 15, 12]);
    expect(tokens).toEqual([10, 20, 11, 21, 20, 21]);
    expect(parents).toEqual([-1, 0, -1, 0, 2, 2]);
  });

  it('joins a looked-up branch with the slots, one node where both agree', () => {
    const slots = [
      [
        [1, 0.5],
        [5, 0.2],
      ],
      [[9, 0.5]],
      [[8, 0.9]],
    ] as const;
    const branches = [
      [
        [1, 0.9],
        [2, 0.9],
        [3, 0.95],
      ],
    ] as const;
    const { tokens, parents } = addon.grow(slots, branches, 3, 7);
    expect(tokens.filter((token) => token === 1)).toHaveLength(1);
    expect(tokens.slice(0, 3)).toEqual([1, 2, 3]);
    // The drafter's own path goes on below the looked-up token.
    expect(parents[tokens.indexOf(9)]).toBe(0);
    expect(new Set(tokens.map((token, i) => `${token} ${parents[i]}`)).size).toBe(tokens.length);
  });

  it('stays within its nodes and its depth', () => {
    const slots = Array.from({ length: 5 }, (_, slot) =>
      Array.from({ length: 5 }, (__, rank) => [10 * slot + rank, 0.2] as const),
    );
    expect(addon.grow(slots, [], 5, 13).tokens).toHaveLength(13);
    expect(addon.grow(slots, [], 1, 13).tokens).toEqual([0, 1, 2, 3, 4]);
    expect(addon.grow([], [], 5, 13).tokens).toEqual([]);
  });
});

describe('nodes that pay', () => {
  const flat = Array.from({ length: 20 }, () => 10);
  const linear = Array.from({ length: 20 }, (_, rows) => 10 + 4 * (rows - 1));

  it('are all of them where rows cost nothing, none where they cost too much', () => {
    expect(addon.nodesThatPay([0.5, 0.2, 0.01], flat, 0)).toBe(3);
    expect(addon.nodesThatPay([0.3, 0.2, 0.1], linear, 0)).toBe(0);
    expect(addon.nodesThatPay([0.9, 0.9], flat, 1000)).toBe(0);
  });

  it('end where ρ·T falls below E·ΔT', () => {
    // 1/10; 1.9/14; 2.6/18; 2.9/22
    expect(addon.nodesThatPay([0.9, 0.7, 0.3], linear, 0)).toBe(2);
  });

  it('reach over a step of the cost', () => {
    const steps = [0, 10, 20, 20, 20, 20];
    expect(addon.nodesThatPay([0.6, 0.6, 0.6, 0.6], steps, 0)).toBe(4);
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
      for (const drafter of ['ngram', 'diffusion', 'auto'] as const) {
        for (const treeNodes of [0, 3, NODES]) {
          const job = jobOf(prompt, { maxTokens: 80, drafter, draftLength: 4, lookup, treeNodes });
          const { tokens, passes } = await generate(engine, job);
          expect(tokens, `${drafter}, ${treeNodes}`).toEqual(plain.tokens);
          for (const { nodes, drafted } of passes) {
            expect(nodes).toBeLessThanOrEqual(treeNodes === 0 ? 4 : treeNodes);
            if (nodes > drafted) branched += 1;
          }
          accepted += passes.reduce((sum, pass) => sum + pass.accepted, 0);
        }
      }
    }
    expect(branched).toBeGreaterThan(20);
    expect(accepted).toBeGreaterThan(20);
    await chains.dispose();
  });

  it('a target made for chains drafts chains', async () => {
    const chains = await native.load({ ...load, treeNodes: 0 });
    const { passes } = await generate(chains, jobOf(text(20), { drafter: 'diffusion', draftLength: 4, treeNodes: 8 }));
    expect(passes.some(({ nodes }) => nodes > 0)).toBe(true);
    expect(passes.every(({ nodes, drafted }) => nodes === drafted)).toBe(true);
    await chains.dispose();
  });

  it('kept rows are those of a chain, also after dead cells were freed', () => {
    const probe = new addon.EngineProbe(NATIVE_DIRECTORY, load, cpuLibrary('auto'));
    for (const seed of [1, 2, 3]) {
      const { rows, greatest, deadCells } = probe.treeBits(Int32Array.from(text(20)), 60, seed);
      expect(rows).toBeGreaterThan(60);
      expect(deadCells).toBeGreaterThan(5 * NODES);
      expect(deadCells).toBeLessThanOrEqual(8 * NODES);
      // Rounding: weights of 32 bits are no business of our kernels. test/parity compares bits.
      expect(greatest).toBeLessThan(0.02);
    }
  });
});

/** The drafter's head without most of it: what a head of low rank finds, and what the head's own rows make of that. */
import { rmSync } from 'node:fs';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { writeGguf } from '../support/gguf';
import { temporaryFolder, testAddon } from '../support/native';
import { normal } from '../support/random';
import { roundBlocks } from '../support/tinyModel';

const WIDTH = 64;
const RANK = 32;
const ENTRIES = 32;
const ONE = 0x3c00; // in 16 bits

const folder = temporaryFolder();
const addon = testAddon();
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Factors that keep the first `rank` dimensions. */
function identity(rank: number): { readonly down: number[]; readonly spread: number[] } {
  return {
    down: Array.from({ length: rank * WIDTH }, (_, i) => (i % WIDTH === Math.floor(i / WIDTH) ? ONE : 0)),
    spread: Array.from({ length: WIDTH * rank }, (_, i) => (i % rank === Math.floor(i / rank) ? ONE : 0)),
  };
}

function write(file: string, weights: Float32Array, rows: number, down: number[], spread: number[]): string {
  const metadata = {
    'general.architecture': { type: 'string', value: 'dflash' },
    'specdiff.shortlist.down': { type: 'i32s', value: down },
    'specdiff.shortlist.spread': { type: 'i32s', value: spread },
  } as const;
  writeGguf(file, metadata, { 'output.weight': { dimensions: [WIDTH, rows], values: weights } });
  return file;
}

/** A head whose states lie in the first RANK dimensions, mostly; its rows have much in common. */
function head(vocabulary: number): { readonly file: string; readonly weights: Float32Array } {
  const next = normal(vocabulary);
  const common = Array.from({ length: WIDTH }, () => 1.2 * Math.sign(next()));
  const weights = Float32Array.from({ length: vocabulary * WIDTH }, (_, i) => next() / 8 + (common[i % WIDTH] ?? 0));
  roundBlocks(weights);
  const { down, spread } = identity(RANK);
  return { file: write(path.join(folder, `${vocabulary}.gguf`), weights, vocabulary, down, spread), weights };
}

function states(count: number): Float32Array {
  const next = normal(3);
  return Float32Array.from({ length: count * WIDTH }, (_, i) => next() * (i % WIDTH < RANK ? 1 : 0.02));
}

/** The whole head's logits of a state, in double precision. */
function logitsOf(weights: Float32Array, state: Float32Array): number[] {
  return Array.from({ length: weights.length / WIDTH }, (_, row) =>
    state.reduce((sum, value, i) => sum + value * (weights[row * WIDTH + i] ?? NaN), 0),
  );
}

describe('a shortlist', () => {
  it('has the best entries, and the whole head’s logits for them', () => {
    const { file, weights } = head(5000);
    const all = states(40);
    const found = addon.shortlist(file, all, WIDTH)!;
    expect(found).toHaveLength(40);
    found.forEach(([entries, logits], i) => {
      const expected = logitsOf(weights, all.subarray(i * WIDTH, (i + 1) * WIDTH));
      const best = expected.map((_, entry) => entry).sort((a, b) => (expected[b] ?? 0) - (expected[a] ?? 0));
      expect(entries).toHaveLength(ENTRIES);
      expect(new Set(entries).size).toBe(ENTRIES);
      expect([...entries]).toEqual(expect.arrayContaining(best.slice(0, 8)));
      entries.forEach((entry, at) => expect(Math.abs(logits[at]! - expected[entry]!)).toBeLessThan(2e-3));
    });
  });

  it.each([1, 20, 32, 33, 2047])('of %i entries has all, or as many as it takes', (vocabulary) => {
    const { file } = head(vocabulary);
    for (const [entries] of addon.shortlist(file, states(5), WIDTH)!) {
      expect(new Set(entries).size).toBe(Math.min(vocabulary, ENTRIES));
      expect(entries.every((entry) => entry >= 0 && entry < vocabulary)).toBe(true);
    }
  });

  it('has some entry whatever the state is', () => {
    const { file } = head(5000);
    for (const value of [NaN, Infinity, 0, 1e38]) {
      const [[entries, logits]] = addon.shortlist(file, new Float32Array(WIDTH).fill(value), WIDTH)! as [
        [Int32Array, Float32Array],
      ];
      expect(entries.length).toBeGreaterThan(0);
      expect(logits).toHaveLength(entries.length);
      expect(entries.every((entry) => entry >= 0 && entry < 5000)).toBe(true);
    }
  });

  it('is none where the factors don’t fit, or are no numbers', () => {
    const none = (down: number[], spread: number[], width = WIDTH) =>
      expect(
        addon.shortlist(
          write(path.join(folder, 'unfit.gguf'), new Float32Array(WIDTH), 1, down, spread),
          states(1),
          width,
        ),
      ).toBeNull();
    const { down, spread } = identity(RANK);
    expect(
      addon.shortlist(write(path.join(folder, 'fit.gguf'), new Float32Array(WIDTH), 1, down, spread), states(1), WIDTH),
    ).toHaveLength(1);
    none(down, spread, WIDTH + 1);
    none(down, spread.slice(1));
    none(down, []);
    none([], []);
    none(identity(RANK / 2).down, identity(RANK / 2).spread);
    none(identity(2 * WIDTH).down, identity(2 * WIDTH).spread);
    for (const unfit of [0x7c00, 0x7e00, 0x10000, -1]) none([...down.slice(1), unfit], spread);
  });
});

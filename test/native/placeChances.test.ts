/** What may stand at a place of a block's draft, and what a drafter's file says of that. */
import { rmSync } from 'node:fs';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { writeGguf } from '../support/gguf';
import { generate, jobOf, nativeAddon, temporaryFolder, testAddon, type Evidence } from '../support/native';
import { TINY_CONTEXT, tinyDrafter, writeTinyTarget } from '../support/tinyModel';

const MATCHES = 8;
const PHRASES = 16;
const rising = (count: number, first: number): number[] => Array.from({ length: count }, (_, i) => first + i / 10);

describe('guesses at a place', () => {
  const addon = testAddon();
  const chances = {
    slope: [1, 0.5],
    rest: [0.25, 0.75],
    copied: [0.3, 0.6],
    absent: [-0.5, -1],
    matched: rising(MATCHES, 1),
    matchedCopied: rising(MATCHES, 0),
    phrases: rising(PHRASES, 0.5),
    phrasesCopied: rising(PHRASES, -0.5),
  };
  const tokens = Int32Array.of(11, 12, 13, 14);
  const gaps = Float32Array.of(0, -1, -2, -3);
  const nothing: Evidence = { matched: 0, copied: -1, known: 0, phrase: -1, count: 0, secondCount: 0 };

  /** Chances by token, and those that were looked up. */
  function guesses(place: number, copied: number, evidence: Partial<Evidence>) {
    const all = addon.placeGuesses(chances, tokens, gaps, place, copied, { ...nothing, ...evidence });
    expect(all.map(([, chance]) => chance)).toEqual(all.map(([, chance]) => chance).sort((a, b) => b - a));
    return {
      order: all.map(([token]) => token),
      chance: new Map(all.map(([token, chance]) => [token, chance])),
      lookedUp: all.filter(([, , lookedUp]) => lookedUp).map(([token]) => token),
    };
  }

  /** What log-odds of these tokens, and of all others together, come to. */
  function expected(odds: Readonly<Record<number, number>>, rest: number): Map<number, number> {
    const sum = Object.values({ ...odds, rest }).reduce((total, one) => total + Math.exp(one), 0);
    return new Map(Object.entries(odds).map(([token, one]) => [Number(token), Math.exp(one) / sum]));
  }

  function close(found: ReadonlyMap<number, number>, wanted: ReadonlyMap<number, number>): void {
    expect([...found.keys()].sort()).toEqual([...wanted.keys()].sort());
    for (const [token, chance] of wanted) expect(found.get(token)).toBeCloseTo(chance, 9);
  }

  it("are the slot's best tokens where nothing else is known, and leave something for all others", () => {
    const { order, chance, lookedUp } = guesses(0, -1, {});
    expect(order).toEqual([11, 12, 13, 14]);
    expect(lookedUp).toEqual([]);
    close(chance, expected({ 11: 0, 12: -1, 13: -2, 14: -3 }, 0.25 - 3));
  });

  it('count what speaks for a token, by place, and a token that is none of the best as the last of these', () => {
    const { chance, lookedUp } = guesses(1, 12, {
      matched: 3,
      copied: 20,
      known: 2,
      phrase: 12,
      count: 9,
      secondCount: 1,
    });
    expect(lookedUp.sort()).toEqual([12, 20]);
    // A phrase of two tokens, 4.5 times as often as the next: class 4 · 1 + 2; the slot began from its token.
    const odds = { 11: 0, 12: -0.5 + 0.6 + (-0.5 + 0.6), 13: -1, 14: -1.5, 20: -1.5 - 1 + 1.2 };
    close(chance, expected(odds, 0.75 - 1.5));
  });

  it('let a match of what the slot began from say less: the slot has heard of it', () => {
    const heard = guesses(0, 13, { matched: 8, copied: 13 });
    const news = guesses(0, -1, { matched: 8, copied: 13 });
    close(heard.chance, expected({ 11: 0, 12: -1, 13: -2 + 0.3 + 0.7, 14: -3 }, 0.25 - 3));
    close(news.chance, expected({ 11: 0, 12: -1, 13: -2 + 1.7, 14: -3 }, 0.25 - 3));
  });

  it('of later places are as of the last that is known', () => {
    close(guesses(6, -1, {}).chance, guesses(1, -1, {}).chance);
  });

  it('take phrases for surer the more often they came than any other', () => {
    const odds = (count: number, secondCount: number): number => {
      const { chance } = guesses(0, -1, { known: 1, phrase: 11, count, secondCount });
      return Math.log((chance.get(11) ?? 0) / (chance.get(12) ?? 1)) - 1;
    };
    const classes = [odds(2, 1), odds(3, 1), odds(7, 1), odds(60, 1), odds(20, 0)];
    for (const [i, wanted] of [0.5, 0.6, 0.7, 0.8, 0.8].entries()) expect(classes[i]).toBeCloseTo(wanted, 9);
  });

  it('are believed less and less where they turn out wrong', () => {
    const begun = addon.learnedChance(0.75, []);
    expect(begun).toBeCloseTo(0.75, 9);
    const few = addon.learnedChance(0.75, [0, 0, 0, 0, 0, 0]);
    expect(few).toBeLessThan(0.6 * begun);
    expect(few).toBeGreaterThan(0.4 * begun);
    expect(
      addon.learnedChance(
        0.75,
        Array.from({ length: 60 }, () => 0),
      ),
    ).toBeLessThan(0.15);
  });
});

describe("a drafter file's calibration", () => {
  const folder = temporaryFolder();
  const targetPath = writeTinyTarget(folder);
  const CALIBRATION = {
    slope: [900, 800, 700, 600],
    rest: [1500, 1500, 1500, 1500],
    copied: [300, 700, 1100, 1500],
    absent: [0, 0, 0, 0],
    matched: Array.from({ length: MATCHES }, (_, i) => 800 + 400 * i),
    matched_copied: Array.from({ length: MATCHES }, (_, i) => 200 * i),
    phrases: Array.from({ length: PHRASES }, (_, i) => 100 * i),
    phrases_copied: Array.from({ length: PHRASES }, (_, i) => 50 * i),
  };
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** A drafter of four slots whose file says this of them. */
  async function loaded(survival: Readonly<Record<string, readonly number[]>>) {
    const { metadata, tensors } = tinyDrafter({ seed: 2, blockSize: 4, sampleFromAnchor: true, slotInit: 'lookup' });
    const drafterPath = path.join(folder, 'drafter.gguf');
    const calibration = Object.entries({ ...CALIBRATION, ...survival }).map(
      ([name, value]) => [`specdiff.survival.${name}`, { type: 'i32s', value }] as const,
    );
    writeGguf(drafterPath, { ...metadata, ...Object.fromEntries(calibration) }, tensors);
    return nativeAddon().load({
      targetPath,
      drafterPath,
      threads: 1,
      contextTokens: TINY_CONTEXT,
      treeNodes: 0,
      learned: null,
    });
  }

  it('leaves the text as it is', async () => {
    const engine = await loaded({});
    expect(engine.drafterNote).toBeNull();
    for (const drafter of ['diffusion', 'joint', 'auto'] as const) {
      const prompt = [1, 7, 9, 12, 7, 9];
      const plain = await generate(engine, jobOf(prompt, { maxTokens: 60 }));
      const drafted = await generate(engine, jobOf(prompt, { maxTokens: 60, drafter }));
      expect(drafted.tokens).toEqual(plain.tokens);
    }
    await engine.dispose();
  });

  it('tells what joined drafts bring in greedy jobs before any was tried', async () => {
    for (const [reached, temperature, least, most] of [
      [[1000, 990, 980, 970], 0, 4, 5],
      [[10, 5, 0, 0], 0, 1, 1.1],
      // Not known: a cautious guess.
      [[1000, 990, 980, 970], 1, 1.2, 2],
    ] as const) {
      const engine = await loaded({ reached });
      const job = { maxTokens: 20, drafter: 'joint', draftLength: 0, sampling: { temperature, seed: 3 } } as const;
      const { passes } = await generate(engine, jobOf([1, 7, 9, 12, 7, 9], job));
      // Before the first joined draft nothing else is known.
      const first = passes.find(({ reason }) => reason === 'wanted');
      expect(first?.expectedTokens).toBeGreaterThan(least);
      expect(first?.expectedTokens).toBeLessThan(most);
      await engine.dispose();
    }
  });

  it('of an older export, which knew copies by what they are copied from, is what is usual', async () => {
    const { metadata, tensors } = tinyDrafter({ seed: 2, blockSize: 4, sampleFromAnchor: true, slotInit: 'lookup' });
    const drafterPath = path.join(folder, 'older.gguf');
    const older = {
      'specdiff.survival.scale': { type: 'i32s', value: [600, 500, 400] },
      'specdiff.survival.copied': { type: 'i32s', value: [-1000, 0, 1500, -2000, -1500, 0, 0] },
    } as const;
    writeGguf(drafterPath, { ...metadata, ...older }, tensors);
    const load = { targetPath, threads: 1, contextTokens: TINY_CONTEXT, treeNodes: 0, learned: null };
    const engine = await nativeAddon().load({ ...load, drafterPath });
    expect(engine.drafterNote).toBeNull();
    expect(engine.drafter?.kind).toBe('diffusion');
    await engine.dispose();
  });

  it('of another block is refused', async () => {
    for (const survival of [
      { slope: [900, 800] },
      { absent: [0, 0, 0, 0, 0] },
      { matched: [800] },
      { phrases_copied: [] },
      { reached: [900, 800, 700, 600, 500] },
      { reached: [500, 600] },
      { reached: [1001] },
    ]) {
      const engine = await loaded(survival);
      expect(engine.drafterNote).toContain(
        'its calibration (specdiff.survival) does not fit its block; export it again.',
      );
      await engine.dispose();
    }
  });
});

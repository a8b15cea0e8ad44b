/** What a block drafter's file says about its own slots. */
import { rmSync } from 'node:fs';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { writeGguf } from '../support/gguf';
import { generate, jobOf, nativeAddon, temporaryFolder, testAddon } from '../support/native';
import { TINY_CONTEXT, tinyDrafter, writeTinyTarget } from '../support/tinyModel';

const AGREES = 1;

describe('a slot with a calibrated chance', () => {
  const calibration = { scale: [0.6, 0.5, 0.4], bias: [-2, 0.5, -3], places: [0, 0.25] };
  const addon = testAddon();
  const logistic = (odds: number): number => 1 / (1 + Math.exp(-odds));

  it('begins with it, by margin, agreement and place', () => {
    expect(addon.slotChance(calibration, 2, 0, 0, [])).toBeCloseTo(logistic(0.6 * 2 - 2), 9);
    expect(addon.slotChance(calibration, 2, AGREES, 1, [])).toBeCloseTo(logistic(0.5 * 2 + 0.5 + 0.25), 9);
    expect(addon.slotChance(calibration, 2, 2, 5, [])).toBeCloseTo(logistic(0.4 * 2 - 3 + 0.25), 9);
  });

  it('says what a copy is worth against it, by what is copied and by place', () => {
    const copied = [-1, 0, 1.5, -2, -1.5, -1, -0.5];
    const chance = (length: number, phrase: boolean, place: number): number =>
      addon.copyChance(copied, [-0.5, 0.25], length, phrase, place);
    expect(chance(1, false, 0)).toBeCloseTo(logistic(-1 - 0.5), 9);
    expect(chance(2, false, 1)).toBeCloseTo(logistic(0.25), 9);
    for (const length of [3, 8]) expect(chance(length, false, 6)).toBeCloseTo(logistic(1.5 + 0.25), 9);
    expect(chance(1, true, 0)).toBeCloseTo(logistic(-2 - 0.5), 9);
    expect(chance(4, true, 0)).toBeCloseTo(logistic(-0.5 - 0.5), 9);
    expect(addon.copyChance([], [], 2, false, 0)).toBeLessThan(0);
  });

  it('leans more and more on what happens', () => {
    const wrong = Array.from({ length: 60 }, () => 0);
    const begun = addon.slotChance(calibration, 2, AGREES, 0, []);
    const few = addon.slotChance(calibration, 2, AGREES, 0, wrong.slice(0, 6));
    expect(few).toBeLessThan(0.6 * begun);
    expect(few).toBeGreaterThan(0.4 * begun);
    expect(addon.slotChance(calibration, 2, AGREES, 0, wrong)).toBeLessThan(0.15);
  });
});

describe("a drafter file's calibration", () => {
  const folder = temporaryFolder();
  const targetPath = writeTinyTarget(folder);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  async function loaded(
    places: readonly number[],
    copied: readonly number[] = [-1000, 0, 1500, -2000, -1500, 0, 0],
    reached: readonly number[] = [],
  ) {
    const { metadata, tensors } = tinyDrafter({ seed: 2, blockSize: 4, sampleFromAnchor: true, slotInit: 'lookup' });
    const drafterPath = path.join(folder, `${places.length}-${copied.length}-${reached.join('.')}.gguf`);
    const calibration = {
      'specdiff.survival.scale': { type: 'i32s', value: [600, 500, 400] },
      'specdiff.survival.bias': { type: 'i32s', value: [-2000, 500, -3000] },
      'specdiff.survival.places': { type: 'i32s', value: places },
      'specdiff.survival.copied': { type: 'i32s', value: copied },
      'specdiff.survival.copied_places': { type: 'i32s', value: places },
      ...(reached.length > 0 && { 'specdiff.survival.reached': { type: 'i32s', value: reached } as const }),
    } as const;
    writeGguf(drafterPath, { ...metadata, ...calibration }, tensors);
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
    const engine = await loaded([0, 100, 200, 300]);
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
      const engine = await loaded([0, 100, 200, 300], undefined, reached);
      const job = { maxTokens: 20, drafter: 'joint', draftLength: 0, sampling: { temperature, seed: 3 } } as const;
      const { passes } = await generate(engine, jobOf([1, 7, 9, 12, 7, 9], job));
      // Before the first joined draft nothing else is known.
      const first = passes.find(({ reason }) => reason === 'wanted');
      expect(first?.expectedTokens).toBeGreaterThan(least);
      expect(first?.expectedTokens).toBeLessThan(most);
      await engine.dispose();
    }
  });

  it('of another block is refused', async () => {
    const places = [0, 100, 200, 300];
    for (const engine of [
      await loaded([0, 100]),
      await loaded(places, [-1000, 0]),
      await loaded(places, undefined, [900, 800, 700, 600, 500]),
      await loaded(places, undefined, [500, 600]),
      await loaded(places, undefined, [1001]),
    ]) {
      expect(engine.drafterNote).toContain(
        'its calibration (specdiff.survival) does not fit its block; export it again.',
      );
      await engine.dispose();
    }
  });
});

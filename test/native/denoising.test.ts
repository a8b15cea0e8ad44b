/** The samplers that turn slots' rows into tokens over T steps, against their closed forms. */
import { describe, expect, it } from 'vitest';
import { chiSquare } from '../support/chiSquare';
import { testAddon } from '../support/native';
import { normal } from '../support/random';

const native = testAddon();
const SAMPLERS = ['confidence', 'euler', 'tweedie', 'denoiser'] as const;
const SLOTS = 4;
const WIDTH = 8;
const MASK = 3;
const SAMPLES = 20_000;
const LEAST_P = 1e-6;
/** α(1): what is left of the text when it is noised most. */
const EPSILON = 1e-3;

const next = normal(5);
const logits = Float32Array.from({ length: SLOTS * WIDTH }, () => 1.5 * next());
const options = (sampler: string, steps: number, temperature = 1, drawnEarly = true) => ({
  ...{ sampler, steps, temperature, drawnEarly },
  mask: MASK,
  vocabulary: WIDTH,
});

function softmax(slot: number, temperature: number): number[] {
  const row = [...logits.subarray(slot * WIDTH, (slot + 1) * WIDTH)].map((logit, token) =>
    token === MASK ? 0 : Math.exp(logit / temperature),
  );
  const total = row.reduce((sum, weight) => sum + weight, 0);
  return row.map((weight) => weight / total);
}

/** How often each value from 0 on came at a slot. */
function counts(values: Int32Array, slot: number, size: number): Float64Array {
  const result = new Float64Array(size);
  for (let i = slot; i < values.length; i += SLOTS) result[values[i]!]! += 1;
  return result;
}

const best = (slot: number): number => {
  const row = softmax(slot, 1);
  return row.indexOf(Math.max(...row));
};

describe('the schedule', () => {
  it('has evenly spaced times from 1 to 1e-5', () => {
    const times = [...native.denoisingTimes(4)];
    [1, 0.7500025, 0.500005, 0.2500075, 1e-5].forEach((time, i) => expect(times[i]).toBeCloseTo(time, 10));
  });

  it.each(['euler', 'tweedie'])('reveals a masked slot with chance (t − s) ÷ t, %s', (sampler) => {
    for (const [t, s] of [
      [1, 0.75],
      [0.75, 0.5],
      [0.1, 1e-5],
    ] as const) {
      expect(native.revealChance(sampler, t, s)).toBeCloseTo((t - s) / t, 9);
    }
  });

  it('knows no other sampler', () => {
    expect(() => native.revealChance('ancestral', 1, 0.5)).toThrow(/must be confidence, euler, tweedie or denoiser/);
  });
});

describe('tokens of a network that gives the same rows in every step', () => {
  for (const sampler of SAMPLERS) {
    for (const [steps, temperature] of [
      [1, 1],
      [3, 0.7],
    ] as const) {
      it(`follow each slot's softmax: ${sampler}, T = ${steps}, temperature ${temperature}`, () => {
        const { tokens } = native.denoise(logits, SLOTS, options(sampler, steps, temperature), SAMPLES, 11);
        for (let slot = 0; slot < SLOTS; slot += 1) {
          const result = chiSquare(counts(tokens, slot, WIDTH), Float64Array.from(softmax(slot, temperature)));
          expect(result.p, `slot ${slot}`).toBeGreaterThan(LEAST_P);
        }
      });
    }

    it(`are the best ones in greedy jobs, and in early steps unless drawn: ${sampler}`, () => {
      const greedy = native.denoise(logits, SLOTS, options(sampler, 3, 0), 50, 3);
      greedy.tokens.forEach((token, i) => expect(token).toBe(best(i % SLOTS)));
      const { tokens, steps } = native.denoise(logits, SLOTS, options(sampler, 3, 1, false), 500, 3);
      const early = [...tokens.keys()].filter((i) => steps[i]! < 3);
      expect(early.length).toBeGreaterThan(0);
      for (const i of early) expect(tokens[i]).toBe(best(i % SLOTS));
      expect([...tokens].some((token, i) => token !== best(i % SLOTS))).toBe(true);
    });
  }
});

describe('the step a slot is revealed in', () => {
  const STEPS = 4;
  const times = native.denoisingTimes(STEPS);

  it.each(['euler', 'tweedie'])('is every one as often, %s', (sampler) => {
    const { steps } = native.denoise(logits, SLOTS, options(sampler, STEPS), SAMPLES, 7);
    const expected = Float64Array.from({ length: STEPS + 1 }, (_, step) =>
      step === 0 ? 0 : step === STEPS ? times[STEPS - 1]! : times[step - 1]! - times[step]!,
    );
    for (let slot = 0; slot < SLOTS; slot += 1)
      expect(chiSquare(counts(steps, slot, STEPS + 1), expected).p).toBeGreaterThan(LEAST_P);
  });

  it('is the last one in which it was masked before, where slots are masked again', () => {
    const masked = (step: number): number => (step === 0 ? 1 : (1 - EPSILON) * times[step]!);
    const expected = Float64Array.from({ length: STEPS + 1 }, (_, step) => {
      if (step === 0) return 0;
      let chance = masked(step - 1);
      for (let later = step; later < STEPS; later += 1) chance *= 1 - masked(later);
      return chance;
    });
    expect(expected.reduce((sum, chance) => sum + chance, 0)).toBeCloseTo(1, 9);
    const { steps } = native.denoise(logits, SLOTS, options('denoiser', STEPS), SAMPLES, 7);
    for (let slot = 0; slot < SLOTS; slot += 1)
      expect(chiSquare(counts(steps, slot, STEPS + 1), expected).p).toBeGreaterThan(LEAST_P);
  });

  it('goes from the surest slot to the least sure one', () => {
    const { steps } = native.denoise(logits, SLOTS, options('confidence', STEPS), 1, 7);
    const sureness = Array.from({ length: SLOTS }, (_, slot) => Math.max(...softmax(slot, 1)));
    const order = [...sureness.keys()].sort((a, b) => sureness[b]! - sureness[a]!);
    expect([...steps].map((step, slot) => [slot, step])).toEqual(
      [...steps.keys()].map((slot) => [slot, order.indexOf(slot) + 1]),
    );
  });
});

it('refuses rows that are not finite', () => {
  const broken = logits.slice();
  broken[5] = Number.NaN;
  expect(() => native.denoise(broken, SLOTS, options('confidence', 2), 1, 1)).toThrow(/not finite/);
});

import { describe, expect, it } from 'vitest';
import type { SamplingSettings } from '../../protocol/settings';
import { jobOf, testAddon } from '../support/native';
import { seeded } from '../support/random';

const addon = testAddon();
const logits = Float32Array.from([2, 1, 0, -1, -2, 1.5]);
const p = (sampling: Partial<SamplingSettings>, history: readonly number[] = [], values = logits) => [
  ...addon.probabilities(values, Int32Array.from(history), jobOf([], { sampling: { temperature: 1, ...sampling } })),
];
const best = (sampling: Partial<SamplingSettings>, history: readonly number[], values = logits) =>
  addon.best(values, Int32Array.from(history), jobOf([], { sampling }));

function softmax(values: readonly number[], temperature = 1): number[] {
  const weights = values.map((value) => Math.exp(value / temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

function expectClose(actual: readonly number[], wanted: readonly number[]): void {
  expect(actual).toHaveLength(wanted.length);
  actual.forEach((value, i) => expect(value).toBeCloseTo(wanted[i]!, 5));
}

const kept = (values: readonly number[]) => values.flatMap((value, token) => (value > 0 ? [token] : []));
const masked = (tokens: readonly number[]) => [...logits].map((v, i) => (tokens.includes(i) ? v : -Infinity));

describe('the definition of p', () => {
  it('is the softmax at the temperature', () => {
    expectClose(p({}), softmax([...logits]));
    expectClose(p({ temperature: 0.5 }), softmax([...logits], 0.5));
    expectClose(p({ temperature: 2 }), softmax([...logits], 2));
  });

  it('is near double precision over a whole vocabulary, and nothing where a logit is far below the best', () => {
    const next = seeded(7);
    const values = Float32Array.from({ length: 49_152 }, () => -100 * next() ** 2);
    values[4711] = -Infinity;
    values[12] = 3;
    const wanted = softmax([...values]);
    const actual = p({}, [], values);
    const off = actual.map((value, i) => Math.abs(value / wanted[i]! - 1)).filter((_, i) => values[i]! > 3 - 86);
    expect(off.length).toBeGreaterThan(40_000);
    // A logit's distance from the best, in single precision, leaves 4·10^-6.
    expect(Math.max(...off)).toBeLessThan(1e-5);
    expect(actual[4711]).toBe(0);
    expect(actual.filter((_, i) => values[i]! < 3 - 88).every((value) => value === 0)).toBe(true);
    expect(best({ temperature: 0 }, [], values)).toBe(12);
    // The last of a vocabulary that no block divides, and the first of equals.
    expect(
      best(
        { temperature: 0 },
        [],
        Float32Array.from({ length: 131 }, (_, i) => (i === 130 ? 1 : 0)),
      ),
    ).toBe(130);
    expect(
      best(
        { temperature: 0 },
        [],
        Float32Array.from({ length: 200 }, (_, i) => (i % 100 === 70 ? 1 : 0)),
      ),
    ).toBe(70);
  });

  it('keeps the same tokens for top-p whatever is left out of the sorting', () => {
    const next = seeded(8);
    const values = Float32Array.from({ length: 2000 }, () => 12 * next());
    const all = softmax([...values]);
    const order = [...all.keys()].sort((a, b) => all[b]! - all[a]! || a - b);
    for (const topP of [0.1, 0.5, 0.9, 0.999]) {
      let sum = 0;
      const few = order.filter((token) => sum < topP && (sum += all[token]!) > 0);
      expect(kept(p({ topP }, [], values))).toEqual(few.sort((a, b) => a - b));
    }
  });

  it('keeps the k best, renormalised', () => {
    expectClose(p({ topK: 2 }), softmax(masked([0, 5])));
    expect(kept(p({ topK: 100 }))).toHaveLength(logits.length);
  });

  it('keeps the fewest tokens that reach top-p, at least one', () => {
    const sorted = softmax([...logits]);
    expect(sorted[0]! + sorted[5]!).toBeGreaterThan(0.7);
    expectClose(p({ topP: 0.7 }), softmax(masked([0, 5])));
    expect(kept(p({ topP: 1e-6 }))).toEqual([0]);
  });

  it('keeps tokens within min-p of the best', () => {
    expectClose(p({ minP: Math.exp(-1.1) }), softmax(masked([0, 1, 5])));
  });

  it('filters before it applies the temperature, as llama.cpp does', () => {
    expect(kept(p({ topP: 0.7, temperature: 5 }))).toEqual(kept(p({ topP: 0.7, temperature: 0.1 })));
  });

  it('penalises what the last 64 tokens hold, once each, by the sign of the logit', () => {
    const values = [...logits];
    values[0] = 2 / 1.5;
    values[4] = -2 * 1.5;
    expectClose(p({ repetitionPenalty: 1.5 }, [0, 4, 0]), softmax(values));
    const old = [0, ...Array.from({ length: 64 }, () => 3)];
    values[0] = 2;
    values[4] = -2;
    values[3] = -1.5;
    expectClose(p({ repetitionPenalty: 1.5 }, old), softmax(values));
  });

  it('filters what is penalised, and samples from that', () => {
    const values = [...logits];
    values[0] = 2 / 1.8;
    const only = (tokens: readonly number[]) => softmax(values.map((v, i) => (tokens.includes(i) ? v : -Infinity)));
    const penalty = { repetitionPenalty: 1.8 };
    expectClose(p({ ...penalty, topK: 3 }, [0]), only([0, 1, 5]));
    expectClose(p({ ...penalty, minP: Math.exp(-0.6) }, [0]), only([0, 1, 5]));
    const [first, second] = [softmax(values)[5]!, softmax(values)[0]!];
    expectClose(p({ ...penalty, topP: first + second / 2 }, [0]), only([0, 5]));
  });

  it('chooses the lowest of equal logits when greedy, penalties applied', () => {
    expect(best({}, [], Float32Array.from([1, 3, 3, 2]))).toBe(1);
    expect(best({ repetitionPenalty: 2 }, [1], Float32Array.from([1, 3, 3, 2]))).toBe(2);
  });

  it('refuses settings out of their bounds', () => {
    for (const sampling of [
      { temperature: -1 },
      { topP: 0 },
      { topP: 1.5 },
      { minP: 2 },
      { topK: -1 },
      { repetitionPenalty: 0 },
    ]) {
      expect(() => p(sampling)).toThrow(/must be/);
    }
  });
});

describe('a draw', () => {
  const uniform = seeded(17);
  /** Mostly zeros, whole blocks of them; powers of two, so that no sum rounds. */
  const sparse = (size: number) =>
    Float32Array.from({ length: size }, (_, i) => (i < 700 || i > size - 600 || uniform() < 0.9 ? 0 : 2 ** -(i % 5)));
  const reference = (weights: Float32Array, share: number) => {
    const threshold = share * weights.reduce((sum, weight) => sum + weight, 0);
    let sum = 0;
    return weights.findIndex((weight) => {
      sum += weight;
      return sum > threshold;
    });
  };

  it.each([2051, 1999, 4096])('from %d weights takes the token that one sum after another finds', (size) => {
    const weights = sparse(size);
    let sum = 0;
    const total = weights.reduce((all, weight) => all + weight, 0);
    const shares = Array.from({ length: 500 }, () => uniform());
    // Right on and right before where each token begins.
    for (const weight of weights) {
      shares.push(sum / total, Math.max(sum / total - 1e-9, 0));
      sum += weight;
    }
    for (const share of shares.filter((value) => value < 1))
      expect(addon.drawn(weights, share)).toBe(reference(weights, share));
  });

  it('never takes a token without weight, where rounding leaves the number at the end too', () => {
    const weights = sparse(3000);
    const last = weights.length - 1 - [...weights].reverse().findIndex((weight) => weight > 0);
    expect(addon.drawn(weights, 1)).toBe(last);
    expect(addon.drawn(Float32Array.from([0, 0, 3, 0]), 0)).toBe(2);
    expect(addon.drawn(new Float32Array(600), 0.5)).toBe(0);
  });
});

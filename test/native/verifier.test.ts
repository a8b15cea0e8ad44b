import { describe, expect, it } from 'vitest';
import { chiSquare } from '../support/chiSquare';
import { testAddon } from '../support/native';
import { seeded } from '../support/random';

const VOCABULARY = 4;
const LENGTH = 3;
const SAMPLES = 200_000;
const LEAST_P = 1e-6;
const CONTEXTS = 1 + VOCABULARY + VOCABULARY ** 2;
const addon = testAddon();

/** Random conditional distributions, one row a context; `sharp` makes them less even. */
function table(seed: number, sharp: number): Float32Array {
  const next = seeded(seed);
  const values = new Float32Array(CONTEXTS * VOCABULARY);
  for (let row = 0; row < CONTEXTS; row += 1) {
    const weights = Array.from({ length: VOCABULARY }, () => next() ** sharp);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    weights.forEach((weight, token) => (values[row * VOCABULARY + token] = weight / total));
  }
  return values;
}

/** Exact probability of each sequence of LENGTH tokens. */
function sequences(p: Float32Array): Float64Array {
  const result = new Float64Array(VOCABULARY ** LENGTH);
  for (let code = 0; code < result.length; code += 1) {
    const tokens = [Math.floor(code / VOCABULARY ** 2), Math.floor(code / VOCABULARY) % VOCABULARY, code % VOCABULARY];
    const contexts = [0, 1 + tokens[0]!, 1 + VOCABULARY + tokens[0]! * VOCABULARY + tokens[1]!];
    result[code] = tokens.reduce((product, token, i) => product * p[contexts[i]! * VOCABULARY + token]!, 1);
  }
  return result;
}

const p = table(1, 2);
const q = table(2, 1);
const guesses = Int32Array.from({ length: CONTEXTS }, (_, context) => (context * 7) % VOCABULARY);
const drafts = [
  { kind: 'dense q', options: { q } },
  { kind: 'point-mass q', options: { guesses } },
];

function simulated(options: { q?: Float32Array; guesses?: Int32Array }, rule: string, draftLength: number) {
  const counts = addon.simulate({
    vocabulary: VOCABULARY,
    length: LENGTH,
    p,
    ...options,
    draftLength,
    rule,
    samples: SAMPLES,
    seed: 42,
  });
  return chiSquare(counts, sequences(p));
}

describe('speculative sampling on enumerated tables', () => {
  for (const { kind, options } of drafts) {
    for (const draftLength of [1, 2, 3]) {
      it(`keeps the target's distribution, ${kind}, draft length ${draftLength}`, () => {
        const result = simulated(options, 'exact', draftLength);
        console.log(`${kind}, γ ${draftLength}: p = ${result.p.toFixed(4)} (${result.degrees} degrees)`);
        expect(result.p).toBeGreaterThan(LEAST_P);
      });
    }
  }

  it('is caught where the residual is forgotten', () => {
    for (const { options } of drafts) expect(simulated(options, 'residualForgotten', 2).p).toBeLessThan(LEAST_P);
  });

  it('is caught where the test of a draft forgets q', () => {
    expect(simulated({ q }, 'qMissingInTest', 2).p).toBeLessThan(LEAST_P);
  });

  it('is caught where the bonus token comes from a stale row', () => {
    for (const { options } of drafts) expect(simulated(options, 'staleRow', 2).p).toBeLessThan(LEAST_P);
  });
});

describe('greedy verification', () => {
  it('gives the target’s own choices whatever is drafted', () => {
    let context = 0;
    let code = 0;
    let first = 0;
    for (let depth = 0; depth < LENGTH; depth += 1) {
      const row = [...p.subarray(context * VOCABULARY, (context + 1) * VOCABULARY)];
      const token = row.indexOf(Math.max(...row));
      code = code * VOCABULARY + token;
      first += VOCABULARY ** depth;
      context = first + code;
    }
    for (const { options } of drafts) {
      const counts = addon.simulate({
        vocabulary: VOCABULARY,
        length: LENGTH,
        p,
        ...options,
        draftLength: 2,
        rule: 'greedy',
        samples: 1000,
        seed: 7,
      });
      expect(counts[code]).toBe(1000);
    }
  });
});

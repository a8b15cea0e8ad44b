/**
 * Every acceptance rule on every kind of draft, over enumerated tables: 200,000 texts each against the exact
 * distribution, and the same test with a broken rule, which must fail.
 */
import { setImmediate } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import type { GenerateJob } from '../../server/engine/addon';
import { chiSquare } from '../support/chiSquare';
import { type TableLanguage, jobOf, testAddon } from '../support/native';
import { normal } from '../support/random';

const VOCABULARY = 4;
const LENGTH = 3;
const SAMPLES = 200_000;
/** A mistake that so many texts don't show is shown by SAMPLES. */
const BROKEN_SAMPLES = [20_000, SAMPLES];
const LEAST_P = 1e-6;
const CONTEXTS = 1 + VOCABULARY + VOCABULARY ** 2;
const addon = testAddon();

const SETTINGS: readonly { readonly name: string; readonly sampling: Partial<GenerateJob['sampling']> }[] = [
  { name: 'temperature 0.5', sampling: { temperature: 0.5 } },
  { name: 'temperature 1', sampling: { temperature: 1 } },
  { name: 'temperature 1.5', sampling: { temperature: 1.5 } },
  { name: 'top-p', sampling: { temperature: 1, topP: 0.8 } },
  { name: 'penalty', sampling: { temperature: 1, repetitionPenalty: 1.5 } },
];

type Kind = Parameters<typeof addon.simulate>[0]['kind'];
interface Drafts {
  readonly kind: Kind;
  readonly tree: boolean;
}
const CHAINS: readonly Drafts[] = [
  { kind: 'dense', tree: false },
  { kind: 'point', tree: false },
  { kind: 'mixed', tree: false },
];
const DRAFTS: readonly Drafts[] = [
  ...CHAINS,
  ...CHAINS.map(({ kind }) => ({ kind, tree: true })),
  { kind: 'steps', tree: false },
];
/** Rules with a mistake of theirs. */
const RULES = [
  { rule: 'tokens', broken: 'residualForgotten' },
  { rule: 'match', broken: 'secondChance' },
  { rule: 'hybrid', broken: 'drawnAgain' },
  { rule: 'block', broken: 'blockStopsEarly' },
] as const;

/** Normal logits, and a drafter that half agrees with them. */
const logits = new Float32Array(CONTEXTS * VOCABULARY);
const q = new Float32Array(CONTEXTS * VOCABULARY);
const next = normal(1);
for (let row = 0; row < CONTEXTS; row += 1) {
  const own = Array.from({ length: VOCABULARY }, () => 1.2 * next());
  const weights = own.map((logit) => Math.exp(logit + next()));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  logits.set(own, row * VOCABULARY);
  q.set(
    weights.map((weight) => weight / total),
    row * VOCABULARY,
  );
}

const language = (sampling: Partial<GenerateJob['sampling']>): TableLanguage => ({
  vocabulary: VOCABULARY,
  length: LENGTH,
  logits,
  q,
  job: jobOf([], { sampling }),
});

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

async function simulated(
  sampling: Partial<GenerateJob['sampling']>,
  drafts: Drafts,
  rule: string,
  samples: number,
  draftLength = LENGTH,
) {
  const tables = language(sampling);
  const result = addon.simulate({ ...tables, ...drafts, draftLength, rule, samples, seed: 42 });
  await setImmediate();
  return { ...chiSquare(result.counts, sequences(addon.distributions(tables))), accepted: result.accepted / samples };
}

const nameOf = ({ kind, tree }: Drafts) => `${kind} ${tree ? 'tree' : 'chain'}`;

describe('every rule keeps the target’s distribution', () => {
  const lines: string[] = [];
  afterAll(() =>
    console.log(`p-values, ${SAMPLES} texts each: ${SETTINGS.map(({ name }) => name).join(', ')}\n${lines.join('\n')}`),
  );

  for (const { rule, broken } of RULES) {
    for (const drafts of DRAFTS) {
      it(`${rule}, ${nameOf(drafts)}`, async () => {
        const values: number[] = [];
        for (const { name, sampling } of SETTINGS) {
          const { p } = await simulated(sampling, drafts, rule, SAMPLES);
          expect(p, name).toBeGreaterThan(LEAST_P);
          values.push(p);
        }
        lines.push(`${rule}, ${nameOf(drafts)}: ${values.map((p) => p.toFixed(4)).join(' ')}`);
      });

      it(`… and is caught with the mistake ${broken}`, async () => {
        for (const { name, sampling } of SETTINGS) {
          let least = 1;
          for (const samples of BROKEN_SAMPLES) {
            least = (await simulated(sampling, drafts, broken, samples)).p;
            if (least < LEAST_P) break;
          }
          expect(least, name).toBeLessThan(LEAST_P);
        }
      });
    }
  }

  it('with shorter chains too', async () => {
    for (const { rule } of RULES) {
      for (const { kind } of CHAINS) {
        for (const draftLength of [1, 2]) {
          const { p } = await simulated({ temperature: 1 }, { kind, tree: false }, rule, SAMPLES / 4, draftLength);
          expect(p, `${rule}, ${kind}, ${draftLength}`).toBeGreaterThan(LEAST_P);
        }
      }
    }
  });
});

describe('more mistakes that are caught', () => {
  it('a test of a drawn token without q', async () => {
    expect((await simulated({ temperature: 1 }, CHAINS[0]!, 'qMissingInTest', SAMPLES)).p).toBeLessThan(LEAST_P);
  });

  it('a bonus token from a stale row', async () => {
    for (const drafts of CHAINS) {
      const { p } = await simulated({ temperature: 1 }, drafts, 'staleRow', SAMPLES, LENGTH - 1);
      expect(p, nameOf(drafts)).toBeLessThan(LEAST_P);
    }
  });

  it.each(['tokens', 'block', 'hybrid'])(
    'a draft of two steps that hands over all its tokens as drawn: %s',
    async (rule) => {
      const drafts: Drafts = { kind: 'steps undeclared', tree: false };
      expect((await simulated({ temperature: 1 }, drafts, rule, SAMPLES)).p).toBeLessThan(LEAST_P);
    },
  );
});

describe('accepted tokens', () => {
  it.each(SETTINGS)(
    'block verification accepts no fewer drawn tokens than token-level, $name',
    async ({ sampling }) => {
      const accepted = async (rule: string) => (await simulated(sampling, CHAINS[0]!, rule, SAMPLES)).accepted;
      const block = await accepted('block');
      const tokens = await accepted('tokens');
      console.log(
        `block ${block.toFixed(4)}, token-level ${tokens.toFixed(4)}, match ${(await accepted('match')).toFixed(4)}`,
      );
      expect(block).toBeGreaterThan(tokens - 0.01); // three standard errors
    },
  );
});

describe('greedy verification', () => {
  it('gives the target’s own choices whatever is drafted', () => {
    const p = addon.distributions(language({ temperature: 1 }));
    let context = 0;
    let code = 0;
    let first = 0;
    for (let depth = 0; depth < LENGTH; depth += 1) {
      const row = [...p.subarray(context * VOCABULARY, (context + 1) * VOCABULARY)];
      code = code * VOCABULARY + row.indexOf(Math.max(...row));
      first += VOCABULARY ** depth;
      context = first + code;
    }
    for (const drafts of DRAFTS) {
      const options = { ...language({ temperature: 1 }), ...drafts, draftLength: LENGTH, rule: 'greedy' };
      expect(addon.simulate({ ...options, samples: 1000, seed: 7 }).counts[code], nameOf(drafts)).toBe(1000);
    }
  });
});

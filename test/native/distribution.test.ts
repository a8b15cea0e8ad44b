/** The engine on a random model: what it samples against what the model's own logits say, sequence by sequence. */
import { rmSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import type { AcceptanceRule, GenerateJob, LoadOptions } from '../../server/engine/addon';
import { chiSquare } from '../support/chiSquare';
import { type EngineProbe, NATIVE_DIRECTORY, jobOf, temporaryFolder, testAddon } from '../support/native';
import {
  TINY_CONTEXT,
  TINY_VOCABULARY,
  type TinyDrafterOptions,
  writeTinyDrafter,
  writeTinyTarget,
} from '../support/tinyModel';

const LENGTH = 3;
const LEAST_P = 1e-6;
const TREE_NODES = 6;
/** Seconds on a quiet machine. */
const TIMEOUT_MS = 600_000;
const folder = temporaryFolder();
const targetPath = writeTinyTarget(folder);
const { EngineProbe } = testAddon();
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A drafter's recipe, the seed of a causal one, or none. */
type DrafterFile = TinyDrafterOptions | number | null;

function drafterFile(name: string, options: DrafterFile): string | null {
  if (typeof options === 'number') return writeTinyTarget(folder, options);
  return options === null ? null : writeTinyDrafter(folder, name, options);
}

function probe(name: string, options: DrafterFile): EngineProbe {
  const drafterPath = drafterFile(name, options);
  const load: LoadOptions = {
    targetPath,
    drafterPath,
    threads: 1,
    contextTokens: TINY_CONTEXT,
    treeNodes: TREE_NODES,
    learned: null,
  };
  return new EngineProbe(NATIVE_DIRECTORY, load);
}

const PROMPT = [1, 7, 9, 12, 7, 9];
const job = (
  drafter: GenerateJob['drafter'],
  sampling: Partial<GenerateJob['sampling']>,
  lookup: Int32Array = new Int32Array(0),
  treeNodes = 0,
) => jobOf(PROMPT, { drafter, draftLength: LENGTH, sampling, lookup, treeNodes });

/** The model's likeliest continuations after the prompt's end: what the lookup copies from is then often right. */
function likelyText(exact: Float64Array): Int32Array {
  const likeliest = [...exact.keys()].sort((x, y) => exact[x]! - exact[y]!).slice(-60);
  const size = TINY_VOCABULARY.length;
  return Int32Array.from(
    likeliest.flatMap((code) => [
      ...PROMPT.slice(-2),
      Math.floor(code / size ** 2),
      Math.floor(code / size) % size,
      code % size,
    ]),
  );
}

const CHUNK = 2000;

/** Samples in chunks, so that the test runner hears from us in between. */
async function sample(engine: EngineProbe, wanted: GenerateJob, samples: number, rule: string) {
  const counts = new Float64Array(TINY_VOCABULARY.length ** LENGTH);
  let drafted = 0;
  let accepted = 0;
  for (let done = 0; done < samples; done += CHUNK) {
    const seed = wanted.sampling.seed + done;
    const part = engine.sample(
      { ...wanted, sampling: { ...wanted.sampling, seed } },
      LENGTH,
      Math.min(CHUNK, samples - done),
      rule,
    );
    part.counts.forEach((count, i) => (counts[i] = counts[i]! + count));
    drafted += part.drafted;
    accepted += part.accepted;
    await setImmediate();
  }
  return { counts, drafted, accepted };
}

const anchored: TinyDrafterOptions = { seed: 2, blockSize: 3, sampleFromAnchor: true, slotInit: 'mask' };
const oneByOne: TinyDrafterOptions = { ...anchored, seed: 4, autoregressive: true, draftVocabulary: 12 };
const lookedUp: TinyDrafterOptions = { ...anchored, seed: 5, slotInit: 'lookup' };
const cases: readonly {
  readonly name: string;
  readonly drafter: GenerateJob['drafter'];
  readonly options: DrafterFile;
  /** γ; 0 lets drafter and controller cut. */
  readonly draftLength?: number;
  readonly sampling: Partial<GenerateJob['sampling']>;
  readonly samples: number;
  /** Without one: the product's choice. */
  readonly rule?: AcceptanceRule;
  readonly treeNodes?: number;
  /** What a sample wrote is drafted from in those after it. */
  readonly remember?: boolean;
}[] = [
  { name: 'plain', drafter: 'none', options: null, sampling: { temperature: 1, topK: 6 }, samples: 25_000 },
  { name: 'ngram', drafter: 'ngram', options: null, sampling: { temperature: 1, topK: 6 }, samples: 25_000 },
  {
    name: 'ngram, remembering',
    drafter: 'ngram',
    options: null,
    sampling: { temperature: 1, topK: 6 },
    samples: 20_000,
    remember: true,
  },
  {
    name: 'ngram, penalty',
    drafter: 'ngram',
    options: null,
    sampling: { temperature: 1.5, topP: 0.8, repetitionPenalty: 1.3 },
    samples: 20_000,
  },
  {
    name: 'diffusion, anchor first',
    drafter: 'diffusion',
    options: anchored,
    sampling: { temperature: 1, topK: 6 },
    samples: 25_000,
  },
  {
    name: 'diffusion, bonus anchor, reduced vocabulary, slots from lookup',
    drafter: 'diffusion',
    options: { seed: 3, blockSize: 4, sampleFromAnchor: false, slotInit: 'lookup', draftVocabulary: 12 },
    sampling: { temperature: 0.8, minP: 0.05 },
    samples: 20_000,
  },
  {
    name: 'diffusion, shortlist',
    drafter: 'diffusion',
    options: { ...anchored, seed: 3, draftVocabulary: 12, shortlist: true },
    sampling: { temperature: 0.8, minP: 0.05 },
    samples: 20_000,
  },
  {
    name: 'diffusion, Markov head',
    drafter: 'diffusion',
    options: { ...anchored, seed: 4, markovRank: 4 },
    sampling: { temperature: 1, topK: 5 },
    samples: 20_000,
  },
  {
    name: 'joint, drafts cut by the judge',
    drafter: 'joint',
    options: lookedUp,
    sampling: { temperature: 1, topK: 6 },
    draftLength: 0,
    samples: 20_000,
  },
  {
    name: 'joint, whole drafts, penalty',
    drafter: 'joint',
    options: { seed: 3, blockSize: 4, sampleFromAnchor: false, slotInit: 'lookup', draftVocabulary: 12 },
    sampling: { temperature: 1.5, topP: 0.8, repetitionPenalty: 1.3 },
    samples: 20_000,
  },
  {
    name: 'causal',
    drafter: 'causal',
    options: 7,
    sampling: { temperature: 0.8, minP: 0.05 },
    samples: 20_000,
  },
  {
    name: 'causal, drafts cut by the judge',
    drafter: 'causal',
    options: 7,
    sampling: { temperature: 1, topK: 6 },
    draftLength: 0,
    samples: 20_000,
  },
  {
    name: 'causal on hidden states',
    drafter: 'causal',
    options: oneByOne,
    sampling: { temperature: 0.8, minP: 0.05 },
    samples: 20_000,
    rule: 'tokens',
  },
  {
    name: 'causal on hidden states, drafts cut by the judge',
    drafter: 'causal',
    options: oneByOne,
    sampling: { temperature: 1, topK: 6 },
    draftLength: 0,
    samples: 20_000,
  },
  {
    name: 'diffusion, token-level rejection',
    drafter: 'diffusion',
    options: anchored,
    sampling: { temperature: 1, topP: 0.9 },
    samples: 20_000,
    rule: 'tokens',
  },
  {
    name: 'diffusion, sample and match',
    drafter: 'diffusion',
    options: anchored,
    sampling: { temperature: 1.5, topK: 5 },
    samples: 20_000,
    rule: 'match',
  },
  {
    name: 'diffusion, hybrid',
    drafter: 'diffusion',
    options: anchored,
    sampling: { temperature: 0.5 },
    samples: 20_000,
    rule: 'hybrid',
  },
  {
    name: 'diffusion, trees with looked-up tokens',
    drafter: 'diffusion',
    options: { ...anchored, slotInit: 'lookup' },
    sampling: { temperature: 1, topK: 6 },
    samples: 20_000,
    treeNodes: TREE_NODES,
  },
  {
    name: 'joint, trees of point masses',
    drafter: 'joint',
    options: lookedUp,
    sampling: { temperature: 1, topK: 6 },
    samples: 20_000,
    rule: 'match',
    treeNodes: TREE_NODES,
  },
  {
    name: 'joint, cut by the judge on a target made for trees',
    drafter: 'joint',
    options: lookedUp,
    sampling: { temperature: 1, topK: 6 },
    draftLength: 0,
    samples: 20_000,
    treeNodes: TREE_NODES,
  },
  {
    name: 'ngram, trees of lookups and phrases, penalty',
    drafter: 'ngram',
    options: null,
    sampling: { temperature: 1, topK: 6, repetitionPenalty: 1.3 },
    samples: 20_000,
    rule: 'match',
    treeNodes: TREE_NODES,
  },
  { name: 'auto', drafter: 'auto', options: anchored, sampling: { temperature: 1, topK: 6 }, samples: 20_000 },
  {
    name: 'auto, joint among its arms',
    drafter: 'auto',
    options: lookedUp,
    sampling: { temperature: 1, topK: 6 },
    draftLength: 0,
    samples: 20_000,
  },
];

/** SPECDIFF_SAMPLES=10 takes ten times as many samples: an hour. */
const TIMES = Number(process.env.SPECDIFF_SAMPLES ?? 1);

describe('sampled text follows the plain distribution', () => {
  let total = 0;
  for (const { name, drafter, options, sampling, draftLength = LENGTH, rule = 'auto', ...more } of cases) {
    const { treeNodes, remember = false } = more;
    const samples = TIMES * more.samples;
    it(name, { timeout: TIMES * TIMEOUT_MS }, async () => {
      const engine = probe(name.replace(/\W+/g, '-'), options);
      const exact = engine.exact(job('none', sampling), LENGTH);
      expect(exact.reduce((sum, p) => sum + p, 0)).toBeCloseTo(1, 4);
      const { counts, drafted, accepted } = await sample(
        engine,
        { ...job(drafter, sampling, likelyText(exact), treeNodes), draftLength, remember },
        samples,
        rule,
      );
      const result = chiSquare(counts, exact);
      total += samples;
      console.log(
        `${name}: p = ${result.p.toFixed(4)} (${result.degrees} degrees), ${samples} samples, ${accepted} of ${drafted} drafted accepted`,
      );
      expect(result.p).toBeGreaterThan(LEAST_P);
      // The controller may well find that drafting does not pay here.
      if (drafter !== 'none') expect(accepted).toBeGreaterThan(drafter === 'auto' ? 0 : samples / 20);
    });
  }

  it('with at least 200,000 samples of drafted text in all', () => {
    expect(total - (cases[0]?.samples ?? 0)).toBeGreaterThanOrEqual(200_000);
  });

  it('and a broken acceptance rule is caught', { timeout: TIMEOUT_MS }, async () => {
    const engine = probe('broken', anchored);
    const sampling = { temperature: 1, topK: 6 };
    const exact = engine.exact(job('none', sampling), LENGTH);
    // A wrong bonus token shows in the compared tokens only after a short draft.
    // What stops early shows least: p = 0.01 after 10,000 samples.
    for (const [drafter, rule, draftLength, samples] of [
      ['ngram', 'residualForgotten', LENGTH, 10_000],
      ['diffusion', 'residualForgotten', LENGTH, 10_000],
      ['diffusion', 'qMissingInTest', LENGTH, 10_000],
      ['diffusion', 'staleRow', 1, 10_000],
      ['diffusion', 'secondChance', LENGTH, 10_000],
      ['diffusion', 'blockStopsEarly', LENGTH, 60_000],
      ['diffusion', 'drawnAgain', LENGTH, 10_000],
      ['diffusion tree', 'secondChance', LENGTH, 10_000],
    ] as const) {
      const tree = drafter === 'diffusion tree';
      const wanted = {
        ...job(tree ? 'diffusion' : drafter, sampling, likelyText(exact), tree ? TREE_NODES : 0),
        draftLength,
      };
      const { counts } = await sample(engine, wanted, samples, rule);
      expect(chiSquare(counts, exact).p, `${drafter} with ${rule}`).toBeLessThan(LEAST_P);
    }
  });
});

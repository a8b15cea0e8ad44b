/**
 * τ of acceptance rules and of trees on the held-out prompts: counts, so that a busy machine does not matter.
 *
 * Usage: node bench/acceptance/bench.mjs [--prompts N --tokens N --seeds N --json FILE]
 * Every arm completes every prompt; with a temperature once a seed. The result is written after each prompt. τ is over all passes; its standard error is that of
 * the prompts' means.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { parseArgs } from 'node:util';

const ROOT = path.resolve(import.meta.dirname, '../..');
const NATIVE = path.join(ROOT, 'dist/native', `${process.platform}-${process.arch}`);
const PROMPT_TOKENS = 200;
const GAMMA = 7;
const MOST_NODES = 64;

const { values } = parseArgs({
  options: {
    prompts: { type: 'string', default: '24' },
    tokens: { type: 'string', default: '64' },
    seeds: { type: 'string', default: '3' },
    json: { type: 'string', default: path.join(ROOT, 'bench/results/acceptance.json') },
  },
});

const chain = (drafter, acceptance, temperature) => ({ drafter, acceptance, temperature, treeNodes: 0 });
const tree = (drafter, treeNodes, temperature) => ({ drafter, acceptance: 'match', temperature, treeNodes });
const ARMS = {
  'T1 diffusion chain, tokens': chain('diffusion', 'tokens', 1),
  'T1 diffusion chain, block': chain('diffusion', 'block', 1),
  'T1 diffusion chain, match': chain('diffusion', 'match', 1),
  'T1 diffusion tree 16': tree('diffusion', 16, 1),
  'T1 diffusion tree 64': tree('diffusion', 64, 1),
  'T1 ngram chain': chain('ngram', 'match', 1),
  'T1 ngram tree 16': tree('ngram', 16, 1),
  'T0 diffusion chain': chain('diffusion', 'auto', 0),
  'T0 diffusion tree 16': tree('diffusion', 16, 0),
  'T0 diffusion tree 64': tree('diffusion', 64, 0),
  'T0 ngram chain': chain('ngram', 'auto', 0),
  'T0 ngram tree 16': tree('ngram', 16, 0),
};

function prompts(engine, count) {
  const texts = readFileSync(path.join(ROOT, 'bench/prompts/heldout.jsonl'), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
    .filter(({ kind }) => kind !== 'summary');
  const chosen = Array.from(
    { length: Math.min(count, texts.length) },
    (_, i) => texts[Math.floor((i * texts.length) / count)],
  );
  return chosen.map(({ id, text }) => ({ id, tokens: engine.tokenize(text, true, false).slice(-PROMPT_TOKENS) }));
}

async function run(engine, arm, prompt, seed) {
  const sum = { tokens: 0, passes: 0, nodes: 0 };
  const sampling = { temperature: arm.temperature, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, seed };
  const job = {
    prompt,
    lookup: new Int32Array(0),
    suffix: new Int32Array(0),
    maxTokens: Number(values.tokens),
    drafter: arm.drafter,
    draftLength: GAMMA,
    treeNodes: arm.treeNodes,
    acceptance: arm.acceptance,
    denoising: { steps: 0, sampler: 'confidence', hotStart: false },
    remember: false,
    sampling,
  };
  const add = (pass) => {
    if (pass.verifyMs === 0) return; // its row came with the prefill
    sum.tokens += pass.emitted;
    sum.passes += 1;
    sum.nodes += pass.nodes;
  };
  await engine.generate(job, () => {}, add);
  return sum;
}

const addon = createRequire(import.meta.url)(path.join(NATIVE, 'specdiff.node'));
const library = addon.listCpuLibraries(NATIVE).find(({ score }) => score > 0)?.file ?? null;
addon.initialize({
  nativeDirectory: NATIVE,
  backendDirectories: [],
  cpuLibrary: library,
  backend: 'cpu',
  onLog: () => {},
});
const engine = await addon.load({
  targetPath: path.join(ROOT, 'models/cache/SmolLM2-135M-Instruct.Q4_1.gguf'),
  drafterPath: path.join(ROOT, 'models/smollm2-135m-instruct.dflash.gguf'),
  threads: 1,
  contextTokens: 512,
  treeNodes: MOST_NODES,
});

/** Figures of every arm over the prompts so far. */
function figures(results) {
  const round = (value) => Number(value.toFixed(3));
  return Object.fromEntries(
    Object.entries(results).map(([name, rows]) => {
      const sum = (key) => rows.reduce((total, row) => total + row[key], 0);
      const passes = sum('passes');
      const tau = sum('tokens') / passes;
      // Of a ratio of sums: the spread of its residuals.
      const error = Math.sqrt(rows.reduce((total, row) => total + (row.tokens - tau * row.passes) ** 2, 0)) / passes;
      const nodesPerPass = round(sum('nodes') / passes);
      return [name, { tau: round(tau), standardError: round(error), passes, tokens: sum('tokens'), nodesPerPass }];
    }),
  );
}

const results = Object.fromEntries(Object.keys(ARMS).map((name) => [name, []]));
mkdirSync(path.dirname(values.json), { recursive: true });
let done = 0;
for (const { id, tokens } of prompts(engine, Number(values.prompts))) {
  for (const [name, arm] of Object.entries(ARMS)) {
    const seeds = arm.temperature > 0 ? Number(values.seeds) : 1;
    const total = { tokens: 0, passes: 0, nodes: 0 };
    for (let seed = 1; seed <= seeds; seed += 1) {
      const sum = await run(engine, arm, tokens, seed);
      for (const key of Object.keys(total)) total[key] += sum[key];
    }
    if (total.passes > 0) results[name].push(total);
  }
  done += 1;
  const settings = { prompts: done, tokens: Number(values.tokens), seeds: Number(values.seeds), gamma: GAMMA };
  const text = JSON.stringify({ settings, cpuLibrary: library, figures: figures(results) }, null, 2);
  writeFileSync(values.json, `${text}\n`);
  process.stderr.write(`${id} `);
}
await engine.dispose();
process.stderr.write('\n');
console.table(figures(results));

/**
 * The tables of SpecDiff (arXiv 2408.05636) for any checkpoints: vanilla decoding, standard speculative decoding with a
 * causal drafter, and SpecDiff over γ × T, on summarization and open text. All arms in one process, one after the other
 * on each prompt, in turning order, from the same cached prefix. An engine has one drafter, so the target is loaded once
 * for SpecDiff and vanilla, and once more where a causal drafter is given.
 *
 * Usage: see options.ts; docs/paper.md says what came of it here.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { ActiveDrafter } from '../../protocol/messages';
import type { NativeAddon, NativeEngine, NativePass } from '../../server/engine/addon';
import { cpuLibraryPicker } from '../../server/engine/create';
import { loadAddon } from '../../server/engine/load-addon';
import { bundledBackendDirectories, nativeDirectory } from '../../server/native-directory';
import { busyNeighbours, machine, machineSlug } from '../machine';
import { armsOf, type Arm } from './arms';
import { figuresOf } from './figures';
import type { Sizes } from './flops';
import { modelSize } from './model-size';
import { readOptions, type Options } from './options';
import { heatMap, speedupBars } from './plots';
import { readPrompts, TASKS, type PaperPrompt } from './prompts';
import { recordOf, type RunRecord } from './record';
import { markdown, type ArmResult } from './report';

/** Room beyond prompt and text: a draft's rows. */
const SLACK_TOKENS = 128;

function warn(level: string, text: string): void {
  if (level === 'warning' || level === 'error') process.stderr.write(`${text}\n`);
}

async function openAddon(options: Options, signal: AbortSignal): Promise<{ addon: NativeAddon; backend: string }> {
  const native = nativeDirectory(options.root);
  const picker = cpuLibraryPicker({
    enginePath: path.join(options.root, 'dist/engine.js'),
    storageDirectory: path.join(options.root, 'build/bench/storage'),
    log: warn,
  });
  const { cpuLibrary } = await picker.pick(native, 'auto', signal);
  const addon = loadAddon(native);
  const { name } = addon.initialize({
    nativeDirectory: native,
    backendDirectories: bundledBackendDirectories(options.root),
    cpuLibrary,
    backend: options.backend,
    onLog: warn,
  });
  return { addon, backend: name };
}

async function load(addon: NativeAddon, options: Options, drafterPath: string): Promise<NativeEngine> {
  const engine = await addon.load({
    targetPath: options.target,
    drafterPath,
    threads: options.threads,
    contextTokens: options.promptTokens + options.tokens + SLACK_TOKENS,
    treeNodes: 0,
    learned: null,
  });
  if (engine.drafter !== null) return engine;
  const note = engine.drafterNote ?? `${drafterPath} is no drafter of ${options.target}.`;
  await engine.dispose();
  throw new Error(note);
}

/** One job of an arm; its passes. */
async function run(
  engine: NativeEngine,
  prompt: Int32Array,
  arm: Pick<Arm, 'drafter' | 'length' | 'steps' | 'rule' | 'temperature'>,
  options: Options,
  maxTokens: number,
  suffix: Int32Array = new Int32Array(0),
): Promise<NativePass[]> {
  const passes: NativePass[] = [];
  const { temperature } = arm;
  await engine.generate(
    {
      prompt,
      lookup: new Int32Array(0),
      suffix,
      maxTokens,
      drafter: arm.drafter,
      draftLength: arm.length,
      treeNodes: 0,
      acceptance: arm.rule,
      denoising: { steps: arm.steps, sampler: 'confidence', hotStart: options.hotStart },
      remember: false,
      sampling: { temperature, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, seed: options.seed },
    },
    () => {},
    (pass) => passes.push(pass),
  );
  return passes;
}

interface Bench {
  readonly options: Options;
  readonly arms: readonly Arm[];
  readonly engineOf: (arm: Arm) => NativeEngine;
  readonly sizesOf: (arm: Arm) => Sizes;
}

/** Runs of every arm, by its name, on one prompt. */
async function runPrompt(bench: Bench, prompt: PaperPrompt, index: number): Promise<Map<string, RunRecord>> {
  const { arms, options } = bench;
  const engines = [...new Set(arms.map(bench.engineOf))];
  const texts = new Map<string, NativePass[]>();
  const tokens = engines[0]?.tokenize(prompt.text, true, false).slice(-options.promptTokens) ?? new Int32Array(0);
  // So that every arm finds the prompt in the target's cache.
  for (const engine of engines) {
    await run(engine, tokens, { drafter: 'none', length: 0, steps: 0, rule: 'auto', temperature: 0 }, options, 1);
  }
  for (let turn = 0; turn < arms.length; turn++) {
    const arm = arms[(turn + index) % arms.length];
    if (arm === undefined) continue;
    const engine = bench.engineOf(arm);
    const suffix = arm.suffix ? engine.tokenize(prompt.suffix, false, false) : undefined;
    texts.set(arm.name, await run(engine, tokens, arm, options, options.tokens, suffix));
  }
  const plain = arms.find((arm) => arm.kind === 'vanilla' && arm.temperature === 0);
  const greedy = texts.get(plain?.name ?? '')?.flatMap((pass) => [...pass.tokens]) ?? null;
  return new Map(
    arms.map((arm) => {
      const about = { id: prompt.id, task: prompt.task, tokens: tokens.length };
      const compared = arm.temperature === 0 ? greedy : null;
      return [arm.name, recordOf(about, texts.get(arm.name) ?? [], bench.sizesOf(arm), compared)];
    }),
  );
}

function resultsOf(arms: readonly Arm[], records: readonly ReadonlyMap<string, RunRecord>[]): ArmResult[] {
  const runsOf = (arm: Arm | undefined): RunRecord[] => records.flatMap((byArm) => byArm.get(arm?.name ?? '') ?? []);
  return arms.map((arm) => {
    const vanilla = arms.find((other) => other.kind === 'vanilla' && other.temperature === arm.temperature);
    const figures = (keep: (run: RunRecord) => boolean) => {
      const runs = runsOf(arm).filter(keep);
      return runs.length === 0 ? null : figuresOf(runs, runsOf(vanilla).filter(keep));
    };
    const [summarization, openText] = TASKS.map((task) => figures((run) => run.task === task));
    return {
      arm,
      figures: { all: figures(() => true), summarization: summarization ?? null, 'open-text': openText ?? null },
    };
  });
}

function describe(file: string) {
  return { file: path.basename(file), ...modelSize(file) };
}

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2), process.env['INIT_CWD'] ?? process.cwd());
  const prompts = readPrompts(options.data, options.prompts);
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  const models = {
    target: describe(options.target),
    drafter: describe(options.drafter),
    causal: options.causal === null ? null : describe(options.causal),
  };
  const { addon, backend } = await openAddon(options, stop.signal);
  const engines: NativeEngine[] = [];
  try {
    const specdiff = await load(addon, options, options.drafter);
    engines.push(specdiff);
    const kind: ActiveDrafter = specdiff.drafter?.kind ?? 'diffusion';
    if (kind === 'causal') {
      throw new Error(
        `${path.basename(options.drafter)} is a causal model: give it as --causal, and a diffusion drafter as --drafter.`,
      );
    }
    const arms = armsOf(options, { kind, maxDraftLength: specdiff.drafter?.maxDraftLength ?? 0 });
    const standard = options.causal === null ? specdiff : await load(addon, options, options.causal);
    if (standard !== specdiff) engines.push(standard);
    const bench: Bench = {
      options,
      arms,
      engineOf: (arm) => (arm.kind === 'standard' ? standard : specdiff),
      sizesOf: ({ kind: of }) => ({
        target: models.target,
        drafter: of === 'vanilla' ? null : of === 'standard' ? models.causal : models.drafter,
      }),
    };
    const described = machine();
    const busy = await busyNeighbours(new Set([process.pid]), stop.signal);
    if (busy.length > 0) process.stderr.write(`Beside this: ${busy.join(', ')}.\n`);
    const records: Map<string, RunRecord>[] = [];
    for (const [index, prompt] of prompts.entries()) {
      if (stop.signal.aborted) break;
      records.push(await runPrompt(bench, prompt, index));
      process.stderr.write(`\rprompt ${index + 1} of ${prompts.length} `);
    }
    process.stderr.write('\n');
    if (records.length === 0) throw new Error('The benchmark was stopped before its first prompt was done.');

    const results = resultsOf(arms, records);
    const file = options.json ?? path.join(options.root, `bench/results/paper-${kind}-${machineSlug(described)}.json`);
    const base = file.replace(/\.json$/, '');
    mkdirSync(path.dirname(file), { recursive: true });
    const { lengths, steps, temperatures, rule, hotStart, tokens, promptTokens, threads, seed } = options;
    const settings = { lengths, steps, temperatures, rule, hotStart, tokens, promptTokens, threads, seed };
    const whole = { machine: described, busy, backend, models, prompts: records.length, settings, results };
    writeFileSync(file, `${JSON.stringify(whole, null, 1)}\n`);
    writeFileSync(`${base}-tau.svg`, heatMap(results));
    writeFileSync(`${base}-speedup.svg`, speedupBars(results));
    console.log(
      `## ${models.target.file}, drafter ${models.drafter.file}\n\n` +
        `${records.length} prompts, ${options.tokens} tokens each; ${described.cpu}, ${threads} threads, ${backend}.\n\n` +
        `${markdown(results)}\n\nWritten: ${[file, `${base}-tau.svg`, `${base}-speedup.svg`].map((name) => path.relative(process.cwd(), name)).join(', ')}`,
    );
  } finally {
    await Promise.all(engines.map((engine) => engine.dispose()));
  }
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
});

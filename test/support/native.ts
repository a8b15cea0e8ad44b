/** The built addon and the tests' own addon, typed. */
import { existsSync, mkdtempSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import type { PlanReason } from '../../protocol/messages';
import type { KernelChoice } from '../../protocol/settings';
import type {
  GenerateJob,
  LoadOptions,
  NativeAddon,
  NativePass,
  NativePrefill,
  NativeResult,
} from '../../server/engine/addon';

const ROOT = path.resolve(import.meta.dirname, '../..');
export const NATIVE_DIRECTORY = path.join(ROOT, 'dist/native', `${process.platform}-${process.arch}`);
const requireNative = createRequire(import.meta.url);

function open(file: string): unknown {
  if (!existsSync(file)) throw new Error(`${file} is missing: run \`npm run build\` first.`);
  return requireNative(file);
}

export interface Plan {
  readonly candidate: number;
  readonly length: number;
  readonly reason: PlanReason;
  readonly expectedTokens: number;
}

export interface TestCandidate {
  readonly drafter: string;
  readonly outlook: number;
  readonly maxLength: number;
  readonly free: boolean;
  readonly sequential: boolean;
  readonly pendingRows: number;
  /** T of a drafter that denoises, else 0. */
  readonly steps: number;
}

export interface TestSituation {
  readonly plainAllowed: boolean;
  readonly greedy: boolean;
  readonly context: number;
  readonly lastRows: number;
  readonly treeRows?: number;
}

export interface TestPass {
  readonly drafter: string;
  readonly outlook: number;
  readonly pendingRows: number;
  readonly free: boolean;
  readonly sequential: boolean;
  readonly steps: number;
  readonly greedy: boolean;
  readonly context: number;
  readonly lastRows: number;
  readonly rows: number;
  readonly drafted: number;
  readonly accepted: number;
  readonly draftMs: number;
  readonly targetMs: number;
  readonly emitted: Int32Array;
  /** Outlooks of the drafted tokens' slots. */
  readonly slots: Int32Array;
}

export interface TestController {
  next(candidates: readonly TestCandidate[], situation: TestSituation): Plan;
  foresee(candidate: TestCandidate, tokens: Int32Array): void;
  slots(drafter: string, least: number, most: number): number;
  cut(drafter: string, outlooks: Int32Array, situation: TestSituation): number;
  /** How many of a tree's nodes are worth their rows; chances of their whole paths. */
  nodes(chances: readonly number[], situation: TestSituation): number;
  filled(rows: number, situation: TestSituation): number;
  observe(pass: TestPass): void;
  calibrate(rows: number, ms: number): void;
  calibrateSwitch(ms: number, laterMs: number): void;
  calibrateLingering(passes: readonly number[]): void;
  expect(drafter: string, reached: Float64Array): void;
  beginJob(): void;
  endJob(tokens: number): void;
  cost(rows: number, context: number): number;
  plainMs(): number;
  state(): string;
  restore(state: string): boolean;
}

export interface TestGovernor {
  threads(): number;
  observe(wallMs: number, waitedMs: number, nowMs: number): void;
}

export interface EngineProbe {
  exact(job: GenerateJob, length: number): Float64Array;
  sample(
    job: GenerateJob,
    length: number,
    samples: number,
    rule: string,
  ): { readonly counts: Uint32Array; readonly drafted: number; readonly accepted: number };
  /**
   * Verifies `passes` random trees and chains after the prompt and keeps a random path of each; how many of the kept
   * rows' logits are not bit for bit those of the same text evaluated row by row, their greatest difference, and how many
   * cells were dead at most.
   */
  treeBits(
    prompt: Int32Array,
    passes: number,
    seed: number,
  ): { readonly rows: number; readonly different: number; readonly greatest: number; readonly deadCells: number };
  /** Passes after cancel() was called within pass number `pass` (0: before the job); -1 where the job did not end as cancelled. */
  passesAfterCancel(job: GenerateJob, pass: number): number;
}

/** Contexts are numbered by length, then in base V. */
export interface TableLanguage {
  readonly vocabulary: number;
  readonly length: number;
  /** [contexts, V] */
  readonly logits: Float32Array;
  readonly q: Float32Array;
  /** Only for its sampling settings. */
  readonly job: GenerateJob;
}

/** Log-odds; see native/core/place_chances. */
export interface PlaceChances {
  readonly slope: readonly number[];
  readonly rest: readonly number[];
  readonly copied: readonly number[];
  readonly absent: readonly number[];
  readonly matched: readonly number[];
  readonly matchedCopied: readonly number[];
  readonly phrases: readonly number[];
  readonly phrasesCopied: readonly number[];
}

/** What lookup and phrases say: tokens that matched and what followed; tokens that a phrase is known by, its token and counts. */
export interface Evidence {
  readonly matched: number;
  readonly copied: number;
  readonly known: number;
  readonly phrase: number;
  readonly count: number;
  readonly secondCount: number;
}

export interface TestAddon {
  /** p of every context in turn, [contexts, V], as the job's sampler makes it of the logits. */
  distributions(language: TableLanguage): Float32Array;
  simulate(
    options: TableLanguage & {
      readonly kind: 'dense' | 'point' | 'mixed' | 'steps' | 'steps undeclared';
      readonly tree: boolean;
      readonly draftLength: number;
      readonly rule: string;
      readonly samples: number;
      readonly seed: number;
    },
  ): { readonly counts: Uint32Array; readonly accepted: number };
  /** Grows a tree from what may come after a path, [token, chance], likeliest first; nodes in the order in which they grew. */
  grow(
    after: (path: Int32Array) => (readonly [number, number])[],
    depth: number,
    nodes: number,
  ): { readonly chances: number[]; readonly tokens: number[]; readonly parents: number[] };
  /**
   * Denoises `slots` slots `samples` times with a network that gives the rows `logits` [slots, V] whatever is revealed;
   * tokens and the steps they were revealed in, [samples, slots].
   */
  denoise(
    logits: Float32Array,
    slots: number,
    options: {
      readonly sampler: string;
      readonly steps: number;
      readonly temperature: number;
      readonly drawnEarly: boolean;
      readonly mask: number;
      readonly vocabulary: number;
    },
    samples: number,
    seed: number,
  ): { readonly tokens: Int32Array; readonly steps: Int32Array };
  revealChance(sampler: string, t: number, s: number): number;
  denoisingTimes(steps: number): Float64Array;
  probabilities(logits: Float32Array, history: Int32Array, job: GenerateJob): Float32Array;
  best(logits: Float32Array, history: Int32Array, job: GenerateJob): number;
  /** Entries of a file's head that are worth looking at, and their logits, of each state [width]; null without factors that fit. */
  shortlist(
    file: string,
    states: Float32Array,
    width: number,
  ): (readonly [entries: Int32Array, logits: Float32Array])[] | null;
  /**
   * A block drafter's network alone: logits [slots, draft vocabulary] of slots with these tokens behind rows with these
   * taps [rows, taps · width], all in one pass or one after the other.
   */
  blockSlots(target: string, drafter: string, taps: Float32Array, slots: Int32Array, oneByOne: boolean): Float32Array;
  lookup(tokens: Int32Array, longest: number, count: number): { readonly length: number; readonly tokens: Int32Array };
  /**
   * Lookup in `tokens` and in phrases learned from `texts` (-1 between them), each occurrence counted `weight` times, on
   * top of `known` ones: check, token, count and second count of each.
   */
  phrase(
    texts: Int32Array,
    weight: number,
    tokens: Int32Array,
    longest: number,
    count: number,
    known: Int32Array,
  ): { readonly length: number; readonly phrase: boolean; readonly sure: boolean; readonly tokens: Int32Array };
  /** What may stand at a place of a draft: token, chance and whether it was looked up, likeliest first. */
  placeGuesses(
    chances: PlaceChances,
    slotTokens: Int32Array,
    gaps: Float32Array,
    place: number,
    copied: number,
    evidence: Evidence,
  ): [number, number, boolean][];
  /** The token that a uniform number from [0, 1) draws. */
  drawn(weights: Float32Array, uniform: number): number;
  /** What a token's own chance becomes after outcomes (1: right) of such tokens, in a greedy job. */
  learnedChance(own: number, outcomes: readonly number[]): number;
  /**
   * The same prompts, chains and trees on a target without taps and with them, whose graphs are kept where they can be,
   * and by llama.cpp's own decoding with taps that it hands out and that are read from the graph's nodes: rows of logits
   * and of taps, and how many are not bit for bit the same.
   */
  tapBits(
    nativeDirectory: string,
    targetPath: string,
    taps: Int32Array,
    promptTokens: number,
    contextTokens: number,
    cpuLibrary?: string,
  ): {
    readonly keepsGraphs: boolean;
    readonly layers: number;
    readonly rows: number;
    readonly differentLogits: number;
    readonly tapRows: number;
    readonly differentTaps: number;
  };
  readonly Controller: new () => TestController;
  readonly CoreWaits: new () => { longestMs(): number };
  readonly ThreadGovernor: new (most: number) => TestGovernor;
  readonly EngineProbe: new (nativeDirectory: string, options: LoadOptions, cpuLibrary?: string) => EngineProbe;
}

export const testAddon = (): TestAddon => open(path.join(ROOT, 'build/native/Release/specdiff_test.node')) as TestAddon;

const openAddon = (): NativeAddon => open(path.join(NATIVE_DIRECTORY, 'specdiff.node')) as NativeAddon;

/** File name of the CPU library that the product would take: with `stock`, the best of llama.cpp's own. */
export function cpuLibrary(kernels: KernelChoice): string | undefined {
  const libraries = openAddon().listCpuLibraries(NATIVE_DIRECTORY);
  return libraries.find(({ file, score }) => score > 0 && (kernels === 'auto' || !file.includes('specdiff')))?.file;
}

/** Why our CPU kernels don't compute here, or null. */
export const kernelsMissing = (): string | null =>
  cpuLibrary('auto')?.includes('specdiff') === true ? null : 'there are no CPU kernels for this machine';

/** The product's addon with its CPU backend loaded; the first call in a process decides whose kernels compute. */
export function nativeAddon(kernels: KernelChoice = 'auto'): NativeAddon {
  const addon = openAddon();
  addon.initialize({
    nativeDirectory: NATIVE_DIRECTORY,
    backendDirectories: [],
    cpuLibrary: cpuLibrary(kernels) ?? null,
    backend: 'cpu',
    onLog: () => undefined,
  });
  return addon;
}

export const temporaryFolder = (): string => mkdtempSync(path.join(os.tmpdir(), 'specdiff-native-'));

/** A job with everything switched off that a test does not set. */
export function jobOf(
  prompt: readonly number[],
  settings: Partial<Omit<GenerateJob, 'prompt' | 'sampling'>> & { sampling?: Partial<GenerateJob['sampling']> } = {},
): GenerateJob {
  const { sampling, ...rest } = settings;
  return {
    prompt: Int32Array.from(prompt),
    lookup: new Int32Array(0),
    suffix: new Int32Array(0),
    maxTokens: 32,
    drafter: 'none',
    draftLength: 0,
    treeNodes: 0,
    acceptance: 'auto',
    denoising: { steps: 0, sampler: 'confidence', hotStart: false },
    remember: false,
    ...rest,
    sampling: { temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, seed: 1, ...sampling },
  };
}

export interface Generated {
  readonly tokens: number[];
  readonly passes: NativePass[];
  readonly prefill: NativePrefill;
  readonly result: NativeResult;
}

/** Runs a job to its end. */
export async function generate(engine: Awaited<ReturnType<NativeAddon['load']>>, job: GenerateJob): Promise<Generated> {
  const passes: NativePass[] = [];
  let prefill: NativePrefill | undefined;
  const result = await engine.generate(
    job,
    (event) => {
      prefill = event;
    },
    (pass) => passes.push(pass),
  );
  return { tokens: passes.flatMap((pass) => [...pass.tokens]), passes, prefill: prefill!, result };
}

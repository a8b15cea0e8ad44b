/** What the command line asks for, checked: nothing is loaded before all of it makes sense. */
import { existsSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import type { BackendChoice } from '../../protocol/settings';
import type { AcceptanceRule } from '../../server/engine/addon';

/** The rules that keep the target's distribution (docs/exactness.md). */
export type ExactRule = Exclude<AcceptanceRule, 'paper'>;

export interface Options {
  readonly root: string;
  readonly target: string;
  readonly drafter: string;
  /** A small causal model with the target's tokenizer; null leaves standard speculative decoding out. */
  readonly causal: string | null;
  readonly data: string;
  /** γ */
  readonly lengths: readonly number[];
  /** T */
  readonly steps: readonly number[];
  readonly temperatures: readonly number[];
  readonly rule: ExactRule;
  readonly hotStart: boolean;
  /** SpecDiff also with its drafts conditioned on the prompts' suffixes. */
  readonly suffix: boolean;
  /** Prompts of each task. */
  readonly prompts: number;
  /** Tokens to write for each prompt. */
  readonly tokens: number;
  /** Tokens of a prompt that are used: its last ones. */
  readonly promptTokens: number;
  readonly threads: number;
  readonly backend: BackendChoice;
  readonly seed: number;
  readonly json: string | null;
}

export const USAGE =
  'Usage: npm run bench:paper -- --target FILE --drafter FILE --data FILE.jsonl [--causal FILE] [--gamma 4,8,16] ' +
  '[--steps 1,2,4] [--temperature 0,1] [--rule auto|tokens|block|match|hybrid] [--hot-start] [--suffix] [--prompts N] ' +
  '[--tokens N] [--prompt-tokens N] [--threads N] [--backend cpu|cuda|…] [--seed N] [--json FILE]';

/** `folder`: where the user stands, which FILE is meant from. Throws one sentence for what can't be. */
export function readOptions(args: readonly string[], folder: string): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      root: { type: 'string', default: folder },
      target: { type: 'string' },
      drafter: { type: 'string' },
      causal: { type: 'string' },
      data: { type: 'string' },
      gamma: { type: 'string', default: '4,8,16' },
      steps: { type: 'string', default: '1,2,4' },
      temperature: { type: 'string', default: '0,1' },
      rule: { type: 'string', default: 'auto' },
      'hot-start': { type: 'boolean', default: false },
      suffix: { type: 'boolean', default: false },
      prompts: { type: 'string', default: '12' },
      tokens: { type: 'string', default: '64' },
      'prompt-tokens': { type: 'string', default: '512' },
      threads: { type: 'string', default: String(os.availableParallelism()) },
      backend: { type: 'string', default: 'cpu' },
      seed: { type: 'string', default: '1' },
      json: { type: 'string' },
    },
  });
  const file = (name: 'target' | 'drafter' | 'causal' | 'data', value: string): string => {
    const absolute = path.resolve(folder, value);
    if (!existsSync(absolute)) throw new Error(`There is no file ${absolute}; give --${name} the path of one.`);
    return absolute;
  };
  const needed = (name: 'target' | 'drafter' | 'data'): string => {
    const value = values[name];
    if (value === undefined) throw new Error(`--${name} FILE is missing. ${USAGE}`);
    return file(name, value);
  };
  return {
    root: path.resolve(folder, values.root),
    target: needed('target'),
    drafter: needed('drafter'),
    causal: values.causal === undefined ? null : file('causal', values.causal),
    data: needed('data'),
    lengths: numbers('gamma', values.gamma, 1, 64, true),
    steps: numbers('steps', values.steps, 1, 64, true),
    temperatures: numbers('temperature', values.temperature, 0, 10, false),
    rule: exactRule(values.rule),
    hotStart: values['hot-start'],
    suffix: values.suffix,
    prompts: number('prompts', values.prompts, 1, 100_000),
    tokens: number('tokens', values.tokens, 2, 4096),
    promptTokens: number('prompt-tokens', values['prompt-tokens'], 2, 1 << 20),
    threads: number('threads', values.threads, 1, 1024),
    backend: backend(values.backend),
    seed: number('seed', values.seed, 0, 2 ** 32),
    json: values.json === undefined ? null : path.resolve(folder, values.json),
  };
}

function number(name: string, text: string, least: number, most: number, whole = true): number {
  const value = text.trim() === '' ? NaN : Number(text);
  if (!(value >= least && value <= most) || (whole && !Number.isInteger(value))) {
    throw new Error(
      `--${name} ${text} can't be: give ${whole ? 'whole numbers' : 'numbers'} from ${least} to ${most}.`,
    );
  }
  return value;
}

/** A list with commas, rising, without repetitions. */
function numbers(name: string, text: string, least: number, most: number, whole: boolean): number[] {
  const all = text.split(',').map((part) => number(name, part, least, most, whole));
  return [...new Set(all)].sort((a, b) => a - b);
}

function exactRule(name: string): ExactRule {
  switch (name) {
    case 'auto':
    case 'tokens':
    case 'block':
    case 'match':
    case 'hybrid':
      return name;
    default:
      throw new Error(`--rule ${name} is no exact rule: give auto, tokens, block, match or hybrid.`);
  }
}

function backend(name: string): BackendChoice {
  switch (name) {
    case 'auto':
    case 'cpu':
    case 'cuda':
    case 'vulkan':
    case 'metal':
      return name;
    default:
      throw new Error(`--backend ${name} is unknown: give auto, cpu, cuda, vulkan or metal.`);
  }
}

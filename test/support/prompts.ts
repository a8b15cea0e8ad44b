/** Real prompts that no drafter was trained on. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { NativeEngine } from '../../server/engine/addon';

const ROOT = path.resolve(import.meta.dirname, '../..');

export const TARGET = path.join(ROOT, 'models/cache/SmolLM2-135M-Instruct.Q4_1.gguf');
export const DRAFTER = path.join(ROOT, 'models/smollm2-135m-instruct.dflash.gguf');

export interface HeldOut {
  readonly id: string;
  readonly kind: string;
  readonly text: string;
}

export const heldOutTexts = (): HeldOut[] =>
  readFileSync(path.join(ROOT, 'bench/prompts/heldout.jsonl'), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as HeldOut)
    .filter(({ kind }) => kind !== 'summary');

/** `count` of them, spread over the file, so that every language and prose are among them. */
export function someHeldOut(count: number): HeldOut[] {
  return heldOutTexts().filter(
    (_, index, all) => Math.floor((index * count) / all.length) !== Math.floor(((index - 1) * count) / all.length),
  );
}

/** The last `tokens` tokens of each text, behind no start token where it was longer. */
export const promptsOf = (engine: NativeEngine, texts: readonly HeldOut[], tokens: number): number[][] =>
  texts.map(({ text }) => [...engine.tokenize(text, true, false)].slice(-tokens));

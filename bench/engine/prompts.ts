/**
 * Prompts from packages that training never saw (training/ writes heldout.jsonl), and edits half done in the same files
 * (edits.jsonl names the file's prompt and the edit).
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { halfDone, type Edit } from './edits';

export const SETS = ['code', 'edit', 'prose', 'summary'] as const;
export type PromptSet = (typeof SETS)[number];

export interface BenchPrompt {
  readonly id: string;
  readonly kind: PromptSet;
  readonly language: string;
  /** Text before the cursor; of a summary the selection. */
  readonly before: string;
  readonly after: string;
}

/** What `--set` says: names with commas between them, or all. @throws with the sets there are */
export function readSet(names: string): readonly PromptSet[] {
  if (names === 'all') return SETS;
  return names.split(',').map((name) => {
    const set = SETS.find((each) => each === name);
    if (set === undefined) throw new Error(`There is no prompt set "${name}": use ${SETS.join(', ')} or all.`);
    return set;
  });
}

export function readPrompts(root: string, sets: readonly PromptSet[]): BenchPrompt[] {
  const folder = path.join(root, 'bench/prompts');
  const heldOut = readLines(path.join(folder, 'heldout.jsonl'), toHeldOut);
  const edits = readLines(path.join(folder, 'edits.jsonl'), (value) => toEdit(value, heldOut));
  const prompts = [...heldOut, ...edits];
  return sets.flatMap((set) => prompts.filter(({ kind }) => kind === set));
}

/** Evenly spread over the kinds and languages when only some are wanted. */
export function spread<T>(prompts: readonly T[], count: number): T[] {
  if (count >= prompts.length) return [...prompts];
  return prompts.filter(
    (_, i) => Math.floor((i * count) / prompts.length) !== Math.floor(((i - 1) * count) / prompts.length),
  );
}

function readLines<T>(file: string, convert: (value: object) => T | null): T[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line, index) => {
      try {
        const value: unknown = JSON.parse(line);
        const converted = typeof value === 'object' && value !== null ? convert(value) : null;
        if (converted !== null) return converted;
        throw new Error('no prompt');
      } catch (error) {
        throw new Error(`${file}:${index + 1}: ${error instanceof Error ? error.message : String(error)}`);
      }
    });
}

function toHeldOut(value: object): BenchPrompt | null {
  const { id, kind, language, text }: Record<string, unknown> = { ...value };
  const set = SETS.find((each) => each === kind);
  if (typeof id !== 'string' || set === undefined || typeof language !== 'string' || typeof text !== 'string')
    return null;
  return { id, kind: set, language, before: text, after: '' };
}

function toEdit(value: object, heldOut: readonly BenchPrompt[]): BenchPrompt | null {
  const { id, source, edit }: Record<string, unknown> = { ...value };
  const document = heldOut.find((prompt) => prompt.id === source);
  const checked = toEditKind(edit);
  if (typeof id !== 'string' || document === undefined || checked === null) return null;
  return { id, kind: 'edit', language: document.language, ...halfDone(document.before, checked) };
}

function toEditKind(value: unknown): Edit | null {
  if (typeof value !== 'object' || value === null) return null;
  const { kind, from, to, done, call, argument, line, removed }: Record<string, unknown> = { ...value };
  if (kind === 'rename' && typeof from === 'string' && typeof to === 'string' && typeof done === 'number')
    return { kind, from, to, done };
  if (kind === 'parameter' && typeof call === 'string' && typeof argument === 'string' && typeof done === 'number')
    return { kind, call, argument, done };
  if (kind === 'pattern' && typeof line === 'string' && typeof removed === 'number') return { kind, line, removed };
  return null;
}

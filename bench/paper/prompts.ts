/** Prompts as JSONL: one object a line with `id`, `task`, `text` and perhaps `suffix`; whatever else it has (package, licence) is not read. */
import { readFileSync } from 'node:fs';

export const TASKS = ['summarization', 'open-text'] as const;
/** An article followed by the instruction to summarize it, or the beginning of a text. */
export type Task = (typeof TASKS)[number];

export interface PaperPrompt {
  readonly id: string;
  readonly task: Task;
  /** Raw: no chat template is put around it, as the paper's targets have none. */
  readonly text: string;
  /** What stands behind the place where the text goes on; empty where it is the end. */
  readonly suffix: string;
}

/** Up to `most` prompts of each task, in turn, so that a run that is cut short has seen both. */
export function readPrompts(file: string, most: number): PaperPrompt[] {
  const all = parsePrompts(readFileSync(file, 'utf8'), file);
  const byTask = TASKS.map((task) => all.filter((prompt) => prompt.task === task).slice(0, most));
  const longest = Math.max(...byTask.map((prompts) => prompts.length));
  return Array.from({ length: longest }, (_, i) => byTask.map((prompts) => prompts[i]))
    .flat()
    .filter((prompt) => prompt !== undefined);
}

export function parsePrompts(text: string, file: string): PaperPrompt[] {
  const prompts = text.split('\n').flatMap((line, index) => {
    if (line.trim() === '') return [];
    const prompt = promptOf(parsed(line));
    if (prompt === null) {
      throw new Error(
        `${file}:${index + 1} is no prompt: it needs texts "id" and "text" and a "task", which is ${TASKS.join(' or ')}.`,
      );
    }
    return [prompt];
  });
  if (prompts.length === 0) throw new Error(`${file} has no prompts; see bench/prompts/paper.jsonl for the form.`);
  return prompts;
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}

function promptOf(value: unknown): PaperPrompt | null {
  if (typeof value !== 'object' || value === null) return null;
  const { id, task, text, suffix } = { id: '', task: '', text: '', suffix: '', ...value };
  const known = TASKS.find((name) => name === task);
  if (typeof id !== 'string' || known === undefined || typeof text !== 'string' || text === '') return null;
  if (typeof suffix !== 'string') return null;
  return { id, task: known, text, suffix };
}

/** Held-out prompts: from packages that training never saw (training/ writes the file). */
import { readFileSync } from 'node:fs';

export type PromptKind = 'code' | 'prose' | 'summary';

export interface HeldOutPrompt {
  readonly id: string;
  readonly kind: PromptKind;
  readonly language: string;
  readonly text: string;
}

function isKind(value: unknown): value is PromptKind {
  return value === 'code' || value === 'prose' || value === 'summary';
}

export function readPrompts(file: string): HeldOutPrompt[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line, index) => {
      const value: unknown = JSON.parse(line);
      if (typeof value === 'object' && value !== null) {
        const { id, kind, language, text } = { id: '', kind: '', language: '', text: '', ...value };
        if (typeof id === 'string' && isKind(kind) && typeof language === 'string' && typeof text === 'string') {
          return { id, kind, language, text };
        }
      }
      throw new Error(`${file}:${index + 1} is no prompt (id, kind, language, text).`);
    });
}

/** Evenly spread over the kinds and languages when only some are wanted. */
export function spread(prompts: readonly HeldOutPrompt[], count: number): HeldOutPrompt[] {
  if (count >= prompts.length) return [...prompts];
  return Array.from({ length: count }, (_, i) => prompts[Math.floor((i * prompts.length) / count)]).filter(
    (prompt) => prompt !== undefined,
  );
}

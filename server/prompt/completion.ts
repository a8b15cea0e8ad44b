/** The prompt of a completion: fill-in-the-middle where the target knows it, else the text before the cursor. */
import type { FimTokens } from '../../protocol/messages';
import type { ServerSettings } from '../../protocol/settings';
import type { EngineSession } from '../engine/client';
import type { Tokenizer } from './tokenizer';
import { windowAfter, windowBefore, type TextBefore } from './window';

export interface CompletionPrompt {
  readonly tokens: readonly number[];
  /** Whitespace before the cursor that the prompt leaves for the model to write (postprocess/healed-start.ts). */
  readonly healed: string;
}

export interface PromptInput {
  readonly before: TextBefore;
  /** Text after the cursor, with `\n` line ends. */
  readonly after: string;
  readonly budget: Pick<ServerSettings, 'contextTokens' | 'suffixTokens'>;
  /** False asks for the text up to the cursor as it is. */
  readonly heal: boolean;
}

export async function completionPrompt(
  { before, after, budget, heal }: PromptInput,
  engine: Pick<EngineSession, 'tokenize' | 'fim'>,
): Promise<CompletionPrompt> {
  const tokenizer: Tokenizer = (texts) => engine.tokenize(texts, { addBos: false, parseSpecial: false });
  if (engine.fim !== null && after.trim() !== '') {
    const suffix = await windowAfter(after, Math.min(budget.suffixTokens, budget.contextTokens - 1), tokenizer);
    const prefix = await windowBefore(before, budget.contextTokens - budget.suffixTokens, tokenizer);
    return { tokens: await fillInTheMiddle(prefix, suffix, engine.fim, engine), healed: '' };
  }
  const window = await windowBefore(before, budget.contextTokens, tokenizer);
  const healed = heal ? trailingBlank(window) : '';
  const text = window.slice(0, window.length - healed.length);
  const [tokens = []] = await engine.tokenize([text], { addBos: true, parseSpecial: false });
  return { tokens, healed };
}

/** Prefix, suffix, middle: the order that published models are trained on most. */
async function fillInTheMiddle(
  prefix: string,
  suffix: string,
  fim: FimTokens,
  engine: Pick<EngineSession, 'tokenize'>,
): Promise<number[]> {
  const [begin = []] = await engine.tokenize([''], { addBos: true, parseSpecial: false });
  const [before = [], after = []] = await engine.tokenize([prefix, suffix], { addBos: false, parseSpecial: false });
  return [...begin, fim.prefix, ...before, fim.suffix, ...after, fim.middle];
}

/** The last space or tab before the cursor: one, since tokenizers leave one to the next word. */
function trailingBlank(text: string): string {
  return /\S|\n/.test(text) ? (/[ \t]$/.exec(text)?.[0] ?? '') : '';
}

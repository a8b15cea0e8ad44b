/** The prompt of a completion: fill-in-the-middle where the target knows it, else the text before the cursor. */
import type { ServerSettings } from '../../protocol/settings';
import type { EngineSession } from '../engine/client';
import type { Tokenizer } from './tokenizer';
import { windowAfter, windowBefore, type TextBefore } from './window';

const SENTINELS = 3;
/** The middle begins at a multiple of this many lines: a new line moves it once in so many times only. */
const MIDDLE_LINES = 4;

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
  const [begin = []] = await engine.tokenize([''], { addBos: true, parseSpecial: false });
  if (engine.fim !== null && after.trim() !== '') {
    const room = Math.max(0, budget.contextTokens - begin.length - SENTINELS);
    const suffix = await suffixTokens(after, Math.min(budget.suffixTokens, Math.floor(room / 2)), tokenizer);
    const window = await windowBefore(before, room - suffix.length, tokenizer);
    const healed = heal ? trailingBlank(window) : '';
    const split = startOfMiddle(window, before.line);
    const [prefix = []] = await tokenizer([window.slice(0, split)]);
    const middle = await continuation(window.slice(split, window.length - healed.length), tokenizer);
    const { fim } = engine;
    // The metadata does not tell the order: this is the one that all models whose sentinels llama.cpp knows have learnt.
    return { tokens: [...begin, fim.prefix, ...prefix, fim.suffix, ...suffix, fim.middle, ...middle], healed };
  }
  const window = await windowBefore(before, budget.contextTokens - begin.length, tokenizer);
  const healed = heal ? trailingBlank(window) : '';
  const text = window.slice(0, window.length - healed.length);
  const [tokens = []] = await engine.tokenize([text], { addBos: true, parseSpecial: false });
  return { tokens, healed };
}

/** The text after the cursor, in at most `budget` tokens. */
async function suffixTokens(after: string, budget: number, tokenizer: Tokenizer): Promise<readonly number[]> {
  const tokens = await continuation(await windowAfter(after, budget, tokenizer), tokenizer);
  return tokens.slice(0, budget);
}

/**
 * Where the last lines of the window begin, which are given to the model as the middle's beginning. With them in the
 * prefix, each character typed would move the suffix after it, and all of that would have to be evaluated again.
 */
function startOfMiddle(window: string, cursorLine: number): number {
  const lines = window.split('\n').slice(-1 - (cursorLine % MIDDLE_LINES));
  return window.length - lines.join('\n').length;
}

/** Tokens of text that follows other text: without the space that some tokenizers put before a text's first word. */
async function continuation(text: string, tokenizer: Tokenizer): Promise<readonly number[]> {
  if (text === '') return [];
  const [alone = [], newline = [], behind = []] = await tokenizer([text, '\n', `\n${text}`]);
  return newline.every((token, index) => behind[index] === token) ? behind.slice(newline.length) : alone;
}

/** The last space or tab before the cursor: one, since tokenizers leave one to the next word. */
function trailingBlank(text: string): string {
  return /\S|\n/.test(text) ? (/[ \t]$/.exec(text)?.[0] ?? '') : '';
}

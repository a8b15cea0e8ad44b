/**
 * The part of the document before the cursor that fits a token budget. Its start is snapped to multiples of lines, so
 * that it stays where it is while the user types: the engine then finds the prompt's beginning in its cache and
 * evaluates a handful of tokens, not the window.
 */
import { characterLimit, type Tokenizer } from './tokenizer';

/** Coarse steps keep the start still for long; finer ones are for long lines, where a coarse step would lose too much. */
const STEPS = [16, 4, 1];
/** A step is good enough when the window fills this part of the budget. */
const GOOD_FILL = 0.5;
/** Within a line longer than the budget the start is snapped to multiples of characters. */
const STEP_CHARACTERS = 256;

export interface TextBefore {
  /** Text before the cursor, cut anywhere at its start, with `\n` line ends. */
  readonly text: string;
  /** Line number of the cursor in the document. */
  readonly line: number;
  /** `text` begins where the document begins. */
  readonly whole: boolean;
}

/** The end of `text` that fits `budget` tokens. */
export async function windowBefore(
  { text, line, whole }: TextBefore,
  budget: number,
  tokenizer: Tokenizer,
): Promise<string> {
  const lines = text.split('\n');
  const firstLine = line - (lines.length - 1);
  const counts = await countTokens(
    lines.map((content, index) => (index < lines.length - 1 ? `${content}\n` : content)),
    tokenizer,
  );
  /** Tokens from line `index` of `lines` to the cursor. */
  const from = suffixSums(counts);
  const total = from[0] ?? 0;
  if (whole && total <= budget) return text;
  for (const step of STEPS) {
    const start = lines.findIndex(
      (_, index) => (firstLine + index) % step === 0 && (index > 0 || whole) && (from[index] ?? 0) <= budget,
    );
    if (start >= 0 && (from[start] ?? 0) >= budget * GOOD_FILL) return lines.slice(start).join('\n');
  }
  return windowInLine(text, lines, from, budget, tokenizer);
}

/** The window starts inside a line that is longer than what is left of the budget. */
async function windowInLine(
  text: string,
  lines: readonly string[],
  from: readonly number[],
  budget: number,
  tokenizer: Tokenizer,
): Promise<string> {
  const next = from.findIndex((tokens) => tokens <= budget);
  const after = next < 0 ? lines.length : next;
  const rest = lines.slice(after).join('\n');
  const line = lines[after - 1];
  if (line === undefined) return text;
  const pieces = piecesOf(after < lines.length ? `${line}\n` : line);
  const sums = suffixSums(await countTokens(pieces, tokenizer));
  const left = budget - (from[after] ?? 0);
  const start = sums.findIndex((tokens) => tokens <= left);
  return (start < 0 ? '' : pieces.slice(start).join('')) + rest;
}

/** The text after the cursor that fits `budget` tokens, cut at a line's end where it can be. */
export async function windowAfter(text: string, budget: number, tokenizer: Tokenizer): Promise<string> {
  if (budget <= 0) return '';
  const lines = text.slice(0, characterLimit(budget)).split(/(?<=\n)/);
  const counts = await countTokens(lines, tokenizer);
  let used = 0;
  let end = 0;
  while (end < lines.length && used + (counts[end] ?? 0) <= budget) used += counts[end++] ?? 0;
  const fitting = lines.slice(0, end).join('');
  if (end > 0 || lines[0] === undefined) return fitting;
  // One long line: characters then, a token being three of them or so.
  return wholeCharacters(lines[0].slice(0, budget * 2));
}

async function countTokens(texts: readonly string[], tokenizer: Tokenizer): Promise<number[]> {
  return (await tokenizer(texts)).map((tokens) => tokens.length);
}

function suffixSums(counts: readonly number[]): number[] {
  const sums: number[] = [];
  let sum = 0;
  for (let index = counts.length - 1; index >= 0; index--) sums[index] = sum += counts[index] ?? 0;
  return sums;
}

function piecesOf(line: string): string[] {
  const pieces: string[] = [];
  let start = 0;
  while (start < line.length) {
    let end = Math.min(line.length, start + STEP_CHARACTERS);
    // Not between the halves of a surrogate pair.
    if (/[\uDC00-\uDFFF]/.test(line.charAt(end))) end++;
    pieces.push(line.slice(start, end));
    start = end;
  }
  return pieces;
}

function wholeCharacters(text: string): string {
  return text.replace(/[\uD800-\uDBFF]$/, '');
}

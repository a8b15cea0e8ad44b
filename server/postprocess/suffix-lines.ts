/** Ends the text before a line that repeats what follows the cursor, indentation included. */
import type { LineRule } from './line-filter';

/** A text that repeats the first or the second line below has run into them. */
const LINES_BELOW = 2;

/**
 * @param linePrefix the cursor's line up to the cursor
 * @param below text below the cursor's line
 */
export function suffixLines(linePrefix: string, below: string): LineRule {
  const next = below
    .split('\n', 50)
    .map((line) => line.trimEnd())
    .filter((line) => line !== '')
    .slice(0, LINES_BELOW)
    // A lone closer further below belongs to another block.
    .filter((line, index) => index === 0 || /\w{3}/.test(line));
  const whole = (text: string, index: number): string => (index === 0 ? linePrefix + text : text);
  return {
    name: 'suffixLines',
    growsAlways: true,
    growing({ text, index }) {
      const line = whole(text, index);
      return next.some((other) => other.startsWith(line) || other === line.trimEnd()) ? 'hold' : 'keep';
    },
    finished({ text, index }) {
      const line = whole(text, index).trimEnd();
      // What stands before the cursor alone cannot be taken back: an unchanged line is no repetition.
      return line !== '' && text.trim() !== '' && next.includes(line) ? 'drop' : 'keep';
    },
  };
}

/** Ends the text at a run of blank lines: two in code, one (the paragraph's end) in prose. */
import type { LineRule } from './line-filter';

/** Before the first text more are allowed: the cursor's own line end is one of them. */
const MOST_BEFORE_TEXT = 4;

export function blankLines(most: number): LineRule {
  let run = 0;
  return {
    name: 'blankLines',
    growsAlways: true,
    finished({ text, afterText }) {
      run = text.trim() === '' ? run + 1 : 0;
      return run >= (afterText ? most : MOST_BEFORE_TEXT) ? 'drop' : 'keep';
    },
  };
}

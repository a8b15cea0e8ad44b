/** Ends the text before a line's third appearance: the model runs in a circle. */
import type { LineRule } from './line-filter';

const MOST = 2;
/** Shorter lines (`}`, `end`, `pass`) may come often, but not in a row. */
const LONG = 8;

export function repeatedLines(): LineRule {
  const seen = new Map<string, number>();
  let previous = '';
  let run = 0;
  return {
    name: 'repeatedLines',
    growsAlways: true,
    growing({ text }) {
      const start = text.trimStart();
      return start !== '' && [...seen.keys()].some((line) => line.startsWith(start)) ? 'hold' : 'keep';
    },
    finished({ text }) {
      const line = text.trim();
      if (line === '') return 'keep';
      run = line === previous ? run + 1 : 1;
      previous = line;
      const count = (seen.get(line) ?? 0) + 1;
      seen.set(line, count);
      return run > MOST || (line.length >= LONG && count > MOST) ? 'drop' : 'keep';
    },
  };
}

/** Drops the last line where the token limit cut it, unless it is the only one with text. */
import type { LineRule } from './line-filter';

export function unfinishedLine(): LineRule {
  return {
    name: 'unfinishedLine',
    finished: ({ cut, afterText }) => (cut && afterText ? 'drop' : 'keep'),
  };
}

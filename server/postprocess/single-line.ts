/** Ends the text with the cursor's own line: text after the cursor on that line has to stay reachable. */
import type { LineRule } from './line-filter';

export function singleLine(): LineRule {
  return { name: 'singleLine', finished: () => 'last' };
}

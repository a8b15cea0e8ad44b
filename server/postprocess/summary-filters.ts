/** Which filters a summary goes through: it is Markdown and shown beside the code, so it only must not run in circles. */
import { Pipeline } from './filter';
import { LineFilter } from './line-filter';
import { UnixLineEndings } from './line-endings';
import { repeatedLines } from './repeated-lines';
import { RepeatedPhrases } from './repeated-phrases';
import { TrailingWhitespace } from './trailing-whitespace';
import { WholeCharacters } from './whole-characters';

export function summaryFilters(): Pipeline {
  return new Pipeline([
    new UnixLineEndings(),
    new LineFilter(repeatedLines()),
    new RepeatedPhrases(),
    new WholeCharacters(),
    new TrailingWhitespace(),
  ]);
}

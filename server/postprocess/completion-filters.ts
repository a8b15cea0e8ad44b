/** Which filters a completion goes through, in which order. */
import { blankLines } from './blank-lines';
import { blockEnd } from './block-end';
import { ExtraIndentation } from './extra-indentation';
import { Pipeline, type TextFilter } from './filter';
import { HealedStart } from './healed-start';
import { LineFilter, type LineRule } from './line-filter';
import { DocumentLineEndings, UnixLineEndings } from './line-endings';
import { insideText, isProse } from './language';
import { proseAfterCode } from './prose-after-code';
import { repeatedLines } from './repeated-lines';
import { RepeatedPhrases } from './repeated-phrases';
import { SameLineSuffix } from './same-line-suffix';
import { singleLine } from './single-line';
import { suffixLines } from './suffix-lines';
import { TrailingWhitespace } from './trailing-whitespace';
import { unfinishedLine } from './unfinished-line';
import { WholeCharacters } from './whole-characters';

export interface CompletionSurroundings {
  /** Document text before the cursor, cut at its start, with `\n` line ends. */
  readonly before: string;
  /** Document text after the cursor, cut at its end, with `\n` line ends. */
  readonly after: string;
  readonly languageId: string;
  readonly crlf: boolean;
  /** Whitespace before the cursor that the prompt left for the model to write. */
  readonly healed: string;
}

export function completionFilters({ before, after, languageId, crlf, healed }: CompletionSurroundings): Pipeline {
  const linePrefix = before.slice(before.lastIndexOf('\n') + 1);
  const lineEnd = after.indexOf('\n');
  const tail = lineEnd < 0 ? after : after.slice(0, lineEnd);
  const below = lineEnd < 0 ? '' : after.slice(lineEnd + 1);
  const prose = isProse(languageId, before);
  const nextLine = below.split('\n', 50).find((line) => line.trim() !== '') ?? '';
  const rules: LineRule[] = [suffixLines(linePrefix, below), repeatedLines()];
  if (tail.trim() !== '') rules.push(singleLine());
  if (prose) rules.push(blankLines(1));
  else {
    const inText = insideText(before);
    rules.push(
      proseAfterCode(inText, linePrefix.trim() === ''),
      blankLines(2),
      blockEnd({ linePrefix, nextLine, insideText: inText }),
      unfinishedLine(),
    );
  }
  const filters: TextFilter[] = [new UnixLineEndings(), new HealedStart(healed)];
  filters.push(prose ? new RepeatedPhrases() : new ExtraIndentation(before));
  filters.push(
    new SameLineSuffix(tail),
    ...rules.map((rule) => new LineFilter(rule)),
    new WholeCharacters(),
    new TrailingWhitespace(),
    new DocumentLineEndings(crlf),
  );
  return new Pipeline(filters);
}

/** Ends code at the end of the block that the cursor is in or opens, told by indentation. */
import { continuesStatement, indentationOf, isCloser, opensBlock } from './indentation';
import type { GeneratedLine, LineRule } from './line-filter';

export interface BlockEndContext {
  /** The cursor's line up to the cursor. */
  readonly linePrefix: string;
  /** The first line with text below the cursor's, or ''. */
  readonly nextLine: string;
  /** The cursor stands in a docstring or comment, where blank lines part paragraphs. */
  readonly insideText?: boolean;
}

export function blockEnd({ linePrefix, nextLine, insideText = false }: BlockEndContext): LineRule {
  const onBlankLine = linePrefix.trim() === '';
  /** Column that the block's lines keep to; on a blank line the first line with text sets it. */
  let base = indentationOf(linePrefix);
  /** The cursor's own line opens a block: its lines lie deeper than `base`, and its end is the end. */
  let header = false;
  let baseSet = !onBlankLine;
  let blankBefore = false;

  /** What a line after the first one means for the block, once its indentation and first characters are known. */
  const place = (text: string): 'inside' | 'closer' | 'outside' => {
    const columns = indentationOf(text);
    if (header) {
      if (columns > base) return 'inside';
      if (columns < base) return 'outside';
      if (isCloser(text)) return 'closer';
      return continuesStatement(text) && !blankBefore ? 'inside' : 'outside';
    }
    if (columns < base) {
      // The closer of the block around the cursor belongs to it, unless it is there already.
      return isCloser(text) && nextLine.trimEnd() !== text.trimEnd() ? 'closer' : 'outside';
    }
    const newThing = columns === base && blankBefore && (base === 0 || !onBlankLine) && !insideText;
    return newThing ? 'outside' : 'inside';
  };

  return {
    name: 'blockEnd',
    growing({ text, index }) {
      if (index === 0) return 'keep';
      if (text.trim() === '' || /^\s*[\])}e]/.test(text)) return 'hold';
      return startsAnywhere() || place(text) === 'inside' ? 'keep' : 'drop';
    },
    finished({ text, index, afterText }: GeneratedLine) {
      if (text.trim() === '' && (index > 0 || onBlankLine)) {
        blankBefore = afterText || !onBlankLine;
        return 'keep';
      }
      if (index === 0) {
        if (onBlankLine) base = indentationOf(linePrefix + text);
        else header = opensBlock(linePrefix + text);
        baseSet = true;
        return 'keep';
      }
      if (startsAnywhere()) {
        base = indentationOf(text);
        baseSet = true;
        return 'keep';
      }
      baseSet = true;
      const where = place(text);
      blankBefore = false;
      return where === 'inside' ? 'keep' : where === 'closer' ? 'last' : 'drop';
    },
  };

  /** On an empty line in column 0 the first line with text may start anywhere. */
  function startsAnywhere(): boolean {
    return !baseSet && base === 0;
  }
}

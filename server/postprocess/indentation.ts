/** Indentation as columns, and what the ends of lines say about blocks. */

const TAB_COLUMNS = 4;

export function leadingWhitespace(line: string): string {
  return /^[ \t]*/.exec(line)?.[0] ?? '';
}

/** Columns of a line's leading whitespace. */
export function indentationOf(line: string): number {
  let columns = 0;
  for (const character of leadingWhitespace(line)) {
    columns += character === '\t' ? TAB_COLUMNS - (columns % TAB_COLUMNS) : 1;
  }
  return columns;
}

/** The line's end asks for a deeper block. */
export function opensBlock(line: string): boolean {
  return /(?:[:{([]|=>|\b(?:do|then|begin))\s*(?:(?:#|\/\/|--).*)?$/.test(line);
}

/** The line only closes what was open: `}`, `);`, `end`. */
export function isCloser(line: string): boolean {
  return /^\s*(?:[\])}]+[;,)]*|end[;,]?)\s*$/.test(line);
}

/** The line goes on with the statement that the block above it belongs to: `else:`, `} catch (e) {`. */
export function continuesStatement(line: string): boolean {
  return /^\s*(?:[\])}]\s*\S|(?:else|elif|elsif|except|finally|catch|rescue|ensure|case|when|default)\b)/.test(line);
}

/** One step of indentation in this text: that of its first line that goes deeper, 4 where none does. */
export function indentationUnit(text: string): number {
  let before = 0;
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue;
    const here = indentationOf(line);
    if (here > before) return here - before;
    before = here;
  }
  return 4;
}

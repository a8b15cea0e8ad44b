/** What a completion needs to know of a document; nothing here scans more of it than the budgets can use. */

/** A text document as the LSP library keeps it, or a file that the CLI has read. */
export interface SourceDocument {
  readonly uri: string;
  readonly languageId: string;
  offsetAt(position: { line: number; character: number }): number;
  positionAt(offset: number): { line: number; character: number };
  getText(range?: { start: { line: number; character: number }; end: { line: number; character: number } }): string;
}

export interface CursorText {
  /** Text before the cursor with `\n` line ends, cut at a place that stays the same while the user types. */
  readonly before: string;
  readonly after: string;
  readonly line: number;
  /** `before` begins where the document begins. */
  readonly whole: boolean;
  readonly crlf: boolean;
}

/** The cut before the cursor moves in steps of this many characters, not with each one typed. */
const CUT_STEP = 4096;

/**
 * @param insertion text that the completion goes on from, in place of what lies between it and the cursor (the suggest
 *   widget's selected item); null for none
 */
export function cursorText(
  document: SourceDocument,
  position: { line: number; character: number },
  insertion: { readonly start: { line: number; character: number }; readonly text: string } | null,
  charactersBefore: number,
  charactersAfter: number,
): CursorText {
  const cursor = document.offsetAt(position);
  const end = insertion === null ? cursor : Math.min(cursor, document.offsetAt(insertion.start));
  const wanted = Math.max(0, end - charactersBefore);
  const from = wanted - (wanted % CUT_STEP);
  const at = (offset: number): { line: number; character: number } => document.positionAt(offset);
  const before = document.getText({ start: at(from), end: at(end) }) + (insertion?.text ?? '');
  const after = document.getText({ start: at(cursor), end: at(cursor + charactersAfter) });
  return {
    before: unix(from > 0 ? before.replace(/^[\uDC00-\uDFFF]/, '') : before),
    after: unix(after.replace(/[\uD800-\uDBFF]$/, '')),
    line: at(end).line + (insertion?.text.split('\n').length ?? 1) - 1,
    whole: from === 0,
    crlf: /\r\n/.test(before) || (!before.includes('\n') && /\r\n/.test(after)),
  };
}

function unix(text: string): string {
  return text.replaceAll('\r\n', '\n');
}

/**
 * Whether a change of the document was "accept word" or "accept line". VS Code tells extensions of whole acceptances
 * only (the event for partial ones is a proposed API, closed to published extensions), so the change must show it.
 */
import type { DocumentChange } from './session';

/** A word, or what lies between words: as far as "accept word" goes. */
const ONE_WORD = /^\s*([\p{L}\p{N}_$]+|[^\p{L}\p{N}_$\s]+)\s*$/u;
/** What editors add by themselves after one typed character. */
const AUTO_CLOSED = /^(\(\)|\[\]|\{\}|<>|""|''|``)$/;

/** @param offered the text that was shown, before the change took a part of it */
export function looksAccepted({ start, end, text }: DocumentChange, offered: string): boolean {
  const inserted = text.replace(/\r\n?/g, '\n');
  // Something replaced is a suggestion of the editor's own, or an edit.
  if (start.line !== end.line || start.character !== end.character || !offered.startsWith(inserted)) return false;
  // One character may be typed, and so may a line break with the indentation that the editor adds.
  if (inserted.trim().length < 2 || AUTO_CLOSED.test(inserted)) return false;
  const line = offered.slice(0, (offered.indexOf('\n') + 1 || offered.length + 1) - 1);
  return inserted === offered || inserted.trimEnd() === line.trimEnd() || ONE_WORD.test(inserted);
}

import { expect, it } from 'vitest';
import { looksAccepted } from '../../../extension/inline/partialAccept';

const at = { line: 3, character: 7 };
const inserts = (text: string, offered: string): boolean => looksAccepted({ start: at, end: at, text }, offered);
const OFFERED = 'items.reduce((sum, item) => {\n  return sum + item.price;\n}, 0)';

it('counts a word, a line and the whole text', () => {
  expect(inserts('items', OFFERED)).toBe(true);
  expect(inserts(' = ', ' = items')).toBe(false); // one character that may be typed
  expect(inserts(' => ', ' => items')).toBe(true);
  expect(inserts('items.reduce((sum, item) => {', OFFERED)).toBe(true);
  expect(inserts('items.reduce((sum, item) => {\r\n', OFFERED)).toBe(true);
  expect(inserts(OFFERED, OFFERED)).toBe(true);
  expect(inserts('größe', 'größe + 1')).toBe(true);
});

it('does not count typing, line breaks, closed brackets, other features’ words or pasted parts', () => {
  expect(inserts('i', OFFERED)).toBe(false);
  expect(inserts('\n    ', '\n    return x;')).toBe(false);
  expect(inserts('()', '() => 1')).toBe(false);
  expect(inserts('""', '"" + name')).toBe(false);
  expect(inserts('items.reduce((sum', OFFERED)).toBe(false);
  expect(inserts('other', OFFERED)).toBe(false);
  // The suggest widget puts its item in place of the word's typed beginning.
  const widget = { start: { line: 3, character: 4 }, end: at, text: 'consoleLog' };
  expect(looksAccepted(widget, 'soleLog();')).toBe(false);
});

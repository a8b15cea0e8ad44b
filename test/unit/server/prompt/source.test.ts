import { describe, expect, it } from 'vitest';
import { TextDocument } from 'vscode-languageserver-textdocument';
import { cursorText } from '../../../../server/completion/source';

const document = (text: string) => TextDocument.create('file:///a.py', 'python', 1, text);

describe('cursorText', () => {
  it('gives both sides with \\n line ends', () => {
    const text = cursorText(document('a\r\nbc\r\nd'), { line: 1, character: 1 }, null, 100, 100);
    expect(text).toEqual({ before: 'a\nb', after: 'c\nd', line: 1, whole: true, crlf: true });
  });

  it('goes on from the selected completion', () => {
    const insertion = { start: { line: 0, character: 5 }, text: 'sqrt' };
    const text = cursorText(document('math.sq(2)'), { line: 0, character: 7 }, insertion, 100, 100);
    expect(text).toMatchObject({ before: 'math.sqrt', after: '(2)' });
  });

  it('cuts in steps, so that typing does not move the cut', () => {
    const long = 'word '.repeat(20_000);
    const at = (text: string) => cursorText(document(text), { line: 0, character: text.length }, null, 5000, 10);
    const first = at(long);
    expect(first.whole).toBe(false);
    expect(first.before.length).toBeLessThan(10_000);
    expect(at(`${long}x`).before).toBe(`${first.before}x`);
  });

  it('never begins or ends with half a character', () => {
    const text = cursorText(document('😀'.repeat(10_000)), { line: 0, character: 10_001 * 2 - 2 }, null, 100, 101);
    expect(text.before).toMatch(/^(?:😀)*$/u);
    expect(text.after).toMatch(/^(?:😀)*$/u);
  });
});

import { describe, expect, it } from 'vitest';
import { windowAfter, windowBefore, type TextBefore } from '../../../../server/prompt/window';
import type { Tokenizer } from '../../../../server/prompt/tokenizer';

/** A token a word, with its whitespace. */
const words: Tokenizer = (texts) =>
  Promise.resolve(texts.map((text) => (text.match(/\s*\S+|\s+$/g) ?? []).map(() => 1)));
const count = async (text: string): Promise<number> => (await words([text]))[0]!.length;
const lines = (number: number): string[] =>
  Array.from({ length: number }, (_, index) => `line ${index} has five words`);
const whole = (text: string): TextBefore => ({ text, line: text.split('\n').length - 1, whole: true });

describe('windowBefore', () => {
  it('takes a short document whole', async () => {
    const text = lines(5).join('\n');
    expect(await windowBefore(whole(text), 100, words)).toBe(text);
    expect(await windowBefore(whole(''), 100, words)).toBe('');
  });

  it('keeps to the budget and starts at a multiple of 16 lines', async () => {
    const text = lines(200).join('\n');
    const window = await windowBefore(whole(text), 300, words);
    expect(await count(window)).toBeLessThanOrEqual(300);
    expect(window).toMatch(/^line 160 /);
    expect(text.endsWith(window)).toBe(true);
  });

  it('starts where it started while a line is typed', async () => {
    const text = lines(200).join('\n') + '\n';
    const starts = new Set<string>();
    for (let typed = 0; typed <= 40; typed++) {
      const window = await windowBefore(whole(text + 'abc def '.repeat(5).slice(0, typed)), 300, words);
      starts.add(window.slice(0, 12));
    }
    expect(starts.size).toBe(1);
  });

  it('knows line numbers where the text is cut at its start', async () => {
    const text = lines(200).join('\n');
    const cut = { text: text.slice(1000), line: 199, whole: false };
    expect(await windowBefore(cut, 300, words)).toBe(await windowBefore(whole(text), 300, words));
  });

  it('uses finer steps where lines are long', async () => {
    const paragraph = 'word '.repeat(40).trim();
    const text = Array.from({ length: 30 }, () => paragraph).join('\n');
    const window = await windowBefore(whole(text), 300, words);
    expect(await count(window)).toBeLessThanOrEqual(300);
    expect(await count(window)).toBeGreaterThanOrEqual(150);
  });

  it('cuts inside a line longer than the budget, in steps, between whole characters', async () => {
    const text = '😀 '.repeat(2000);
    const window = await windowBefore(whole(text), 300, words);
    expect(await count(window)).toBeLessThanOrEqual(300);
    expect(await count(window)).toBeGreaterThanOrEqual(150);
    expect(window).toMatch(/^(?:😀 | 😀)/u);
    const typed = await windowBefore(whole(`${text}x`), 300, words);
    expect(typed.startsWith(window.slice(0, 20))).toBe(true);
  });
});

describe('windowAfter', () => {
  it('takes whole lines', async () => {
    const text = lines(50).join('\n');
    const window = await windowAfter(text, 22, words);
    expect(window).toBe(`${lines(3).join('\n')}\n`);
  });
  it('takes a part of a long line, never half a character', async () => {
    const window = await windowAfter('😀'.repeat(500), 10, (texts) =>
      Promise.resolve(texts.map((text) => Array.from(text, () => 1))),
    );
    expect(window.length).toBeGreaterThan(0);
    expect(window).toMatch(/^😀+$/u);
  });
  it('takes nothing without a budget', async () => {
    expect(await windowAfter('abc', 0, words)).toBe('');
  });
});

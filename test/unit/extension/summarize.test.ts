import { describe, expect, it } from 'vitest';
import { asComment, fallbackSyntax } from '../../../extension/summarize/comment';
import { parseJsonc } from '../../../extension/summarize/jsonc';
import { summaryMarkdown } from '../../../extension/summarize/markdown';
import type { SummarizeResult } from '../../../protocol/messages';

describe('a summary as a comment', () => {
  it('uses line comments with the code’s indentation, wrapped at words', () => {
    const comment = asComment(`One two.\n\n${'word '.repeat(30)}`, { line: '//', block: ['/*', '*/'] }, '    ');
    const lines = comment.split('\n');
    expect(lines.slice(0, 2)).toEqual(['    // One two.', '    //']);
    expect(lines.at(-1)).toBe('');
    expect(lines.slice(2, -1).every((line) => /^ {4}\/\/ (word ?)+$/.test(line) && line.length <= 100)).toBe(true);
    expect(comment.match(/word/g)).toHaveLength(30);
  });

  it('uses one block comment where there are no line comments', () => {
    expect(asComment('Short.', { line: null, block: ['<!--', '-->'] }, '\t')).toBe('\t<!-- Short. -->\n');
    expect(asComment('a\nb', { line: null, block: ['/*', '*/'] }, '')).toBe('/*\n   a\n   b\n*/\n');
  });

  it('cannot end the block comment from within', () => {
    const comment = asComment('ends */ here', { line: null, block: ['/*', '*/'] }, '');
    expect(comment.match(/\*\//g)).toHaveLength(1);
  });

  it('knows common languages without their configuration', () => {
    expect(fallbackSyntax('python')?.line).toBe('#');
    expect(fallbackSyntax('css')?.block).toEqual(['/*', '*/']);
    expect(fallbackSyntax('json')).toBeNull();
  });
});

describe('language configurations', () => {
  it('may have comments, trailing commas and strings that look like both', () => {
    const text = '{ // x\n "a": "//,]", /* , */ "b": [1, 2,], "c": "\\"/*",\n}';
    expect(parseJsonc(text)).toEqual({ a: '//,]', b: [1, 2], c: '"/*' });
    expect(() => parseJsonc('{ a')).toThrow(SyntaxError);
  });
});

describe('the summary page', () => {
  const result = (more: Partial<SummarizeResult>): SummarizeResult => ({
    outcome: 'done',
    text: '',
    stats: null,
    ...more,
  });
  const page = (text: string, more: Partial<SummarizeResult>): string =>
    summaryMarkdown('a_b.ts, line 3', text, { state: 'ended', result: result(more) });

  it('grows while it is written', () => {
    expect(summaryMarkdown('a.ts', '', { state: 'running' })).toBe('# Summary\n\n*a.ts*\n\n…\n');
    expect(summaryMarkdown('a.ts', 'Adds ', { state: 'running' })).toContain('Adds …');
  });

  it('fetches nothing, whatever the model writes', () => {
    const written = 'See ![a](https://a.b/c) <img src="https://a.b/d"> `x < y` a<b <!-- c -->';
    for (const shown of [page(written, {}), summaryMarkdown('a.ts', written, { state: 'running' })]) {
      expect(shown).not.toMatch(/!\[|<[a-z/!?]/i);
      expect(shown.replaceAll('\u200b', '')).toContain(written);
    }
    expect(page('if a < b', {})).toContain('if a < b');
  });

  it('says what was cut, cancelled or went wrong, beside the text there is', () => {
    expect(page('Text.', {})).toBe('# Summary\n\n*a\\_b.ts, line 3*\n\nText.\n');
    expect(page('Text.', { cut: { usedLines: 40, selectedLines: 90 } })).toContain('40 of its 90 lines');
    expect(page('It adds', { unfinished: true })).toMatch(
      /It adds …\n\n> .*limit; raise `specdiff\.summary\.maxTokens`/,
    );
    expect(page('Te', { outcome: 'cancelled' })).toMatch(/Te\n\n> Cancelled\.\n$/);
    expect(page('', { outcome: 'refused', message: 'Holds secrets.' })).toContain('> Holds secrets.');
    expect(page('', {})).toContain('wrote nothing');
  });
});

import { describe, expect, it } from 'vitest';
import { ExtraIndentation } from '../../../../server/postprocess/extra-indentation';
import { HEALING_FAILED, HealedStart } from '../../../../server/postprocess/healed-start';
import { completionFilters } from '../../../../server/postprocess/completion-filters';
import { DocumentLineEndings, UnixLineEndings } from '../../../../server/postprocess/line-endings';
import { RepeatedPhrases } from '../../../../server/postprocess/repeated-phrases';
import { SameLineSuffix } from '../../../../server/postprocess/same-line-suffix';
import { summaryFilters } from '../../../../server/postprocess/summary-filters';
import { TrailingWhitespace } from '../../../../server/postprocess/trailing-whitespace';
import { WholeCharacters } from '../../../../server/postprocess/whole-characters';
import { randomNumbers, randomPieces, run } from './run';

describe('SameLineSuffix', () => {
  const text = (tail: string, generated: string): string => run(new SameLineSuffix(tail), Array.from(generated)).text;
  it('leaves an autoclosed bracket to the document', () => {
    expect(text(')', 'a, b)\nreturn')).toBe('a, b');
    expect(text(');', 'f(a), g(b));')).toBe('f(a), g(b)');
    expect(text(')', 'a, [1, 2)')).toBe('a, [1, 2');
    expect(text('}', ' ...rest }')).toBe(' ...rest ');
  });
  it('leaves an autoclosed quote to the document', () => {
    expect(text('")', 'hello \\"you\\"")')).toBe('hello \\"you\\"');
  });
  it('drops a repeated rest of the line', () => {
    expect(text(' = 1;', 'value = 1;')).toBe('value ');
    expect(text(' = 1;', 'value = 10')).toBe('value = 10');
    expect(text('items.length', 'items.length')).toBe('');
  });
  it('lets everything through at the end of a line', () => {
    expect(text('', 'a)\nb')).toBe('a)\nb');
  });
  it('never releases what it drops in the end', () => {
    const { releases } = run(new SameLineSuffix(' = 1;'), Array.from('value = 1;'));
    expect(releases.join('')).toBe('value ');
  });
});

describe('RepeatedPhrases', () => {
  const shown = (text: string) => run(new RepeatedPhrases(), Array.from(text));
  it('ends a line that runs in a circle, however it comes', () => {
    const random = randomNumbers(20_261_126);
    for (let round = 0; round < 40; round++) {
      const pieces = randomPieces(`It uses a ${'slot-based '.repeat(20)}`, random);
      expect(run(new RepeatedPhrases(), pieces)).toMatchObject({
        text: 'It uses a slot-based slot-based',
        stop: 'repeatedPhrases',
      });
    }
    expect(shown(`It covers reading ${'and adding '.repeat(9)}`).text).toBe('It covers reading and adding and adding');
    // A word that is repeated within the phrase.
    const clause = 'the very very very good thing, and ';
    expect(shown(`X ${clause.repeat(8)}`).text).toBe(`X ${clause}${clause}`.trimEnd());
  });
  it('waits for eight appearances of words and four of a clause', () => {
    for (const [phrase, most] of [
      ['row by row, ', 3],
      ['row by it, ', 7],
      ['the whole sum of numbers, ', 3],
    ] as const) {
      const start = `Go ${phrase.repeat(most)}`;
      expect(shown(`${start}and then on`)).toMatchObject({ text: `${start}and then on`, stop: null });
      expect(shown(`Go ${phrase.repeat(most + 2)}and then on`).stop).toBe('repeatedPhrases');
    }
  });
  it('lets people repeat themselves', () => {
    for (const text of [
      'It is very, very, very slow.',
      'Row by row by row by row it is read.\n',
      '| --- | --- | --- | --- | --- |\n| yes | yes | yes | yes | yes | yes | yes | yes | yes | yes |\n',
      'grid: (auto, auto, auto, auto, auto, auto)',
      '='.repeat(60),
      'a new node, a new edge, a new node, a new edge and a root',
      '- the same\n'.repeat(9),
    ])
      expect(shown(text)).toMatchObject({ text, stop: null });
  });
  it('shows what it held back where the text ends or goes on otherwise', () => {
    expect(run(new RepeatedPhrases(), ['a word a word a', ' w']).text).toBe('a word a word a w');
    const { releases } = run(new RepeatedPhrases(), ['one two one two ', 'one ', 'three']);
    expect(releases).toEqual(['one two one two ', '', 'one three', '']);
  });
  it('is among the filters of summaries and of prose, not of code', () => {
    const circle = `total = ${'a_number + '.repeat(9)}1;\n`;
    const ended = 'total = a_number + a_number';
    const surroundings = { before: '', after: '', crlf: false, healed: '' };
    expect(run(summaryFilters(), [circle]).text).toContain(ended);
    expect(run(summaryFilters(), [circle]).text.length).toBeLessThan(ended.length + 4);
    const completion = (languageId: string) => run(completionFilters({ ...surroundings, languageId }), [circle]).text;
    expect(completion('plaintext').length).toBeLessThan(ended.length + 4);
    expect(completion('typescript')).toBe(circle.trimEnd());
  });
});

describe('HealedStart', () => {
  it('takes the missing space back', () => {
    expect(run(new HealedStart(' '), [' ret', 'urn']).text).toBe('return');
    expect(run(new HealedStart(''), ['x']).text).toBe('x');
  });
  it('tells when the model wants none', () => {
    expect(run(new HealedStart(' '), ['= 5'])).toMatchObject({ text: '', stop: HEALING_FAILED });
  });
});

describe('ExtraIndentation', () => {
  const text = (before: string, generated: string): string =>
    run(new ExtraIndentation(before), Array.from(generated)).text;
  it('takes away indentation that is there already', () => {
    expect(text('def f():\n    ', '    return 1')).toBe('return 1');
    expect(text('if x:\n    a()\n    ', '    b()')).toBe('b()');
  });
  it('leaves indentation that is missing', () => {
    expect(text('def f():\n  ', '  return 1')).toBe('  return 1');
    expect(text('x = 1\n', '  y')).toBe('  y');
  });
});

describe('TrailingWhitespace', () => {
  it('drops it at the end only, and text of nothing else', () => {
    expect(run(new TrailingWhitespace(), ['a ', ' b\n', '\n ']).text).toBe('a  b');
    expect(run(new TrailingWhitespace(), [' ', '\n\t']).text).toBe('');
  });
});

describe('WholeCharacters', () => {
  it('never splits a character', () => {
    const family = '👩‍👩‍👧';
    const { releases, text } = run(new WholeCharacters(), [...`a${family}e\u0301`.split('')]);
    expect(text).toBe(`a${family}e\u0301`);
    const ends = releases.map((_, index) => releases.slice(0, index + 1).join('').length);
    expect([...new Set(ends)]).toEqual([0, 1, 1 + family.length + 1, text.length].filter((end) => ends.includes(end)));
  });
  it('drops half a surrogate pair at the end', () => {
    expect(run(new WholeCharacters(), ['a', '\ud83d']).text).toBe('a');
  });
});

describe('line endings', () => {
  it('become \\n and then the document’s', () => {
    expect(run(new UnixLineEndings(), ['a\r', '\nb\rc\r\n']).text).toBe('a\nb\nc\n');
    expect(run(new DocumentLineEndings(true), ['a\nb']).text).toBe('a\r\nb');
    expect(run(new DocumentLineEndings(false), ['a\nb']).text).toBe('a\nb');
  });
});

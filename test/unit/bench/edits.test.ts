import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { halfDone } from '../../../bench/engine/edits';
import { readPrompts, readSet, spread } from '../../../bench/engine/prompts';

const ROOT = path.resolve(import.meta.dirname, '../../..');

describe('an edit half done', () => {
  const document = 'let total = 1;\nuse(total);\nthis.total = totals + total;\nprint(total);\n';

  it('renames whole words that are no members, and leaves the line of the next one to be written', () => {
    const edit = { kind: 'rename', from: 'total', to: 'sum', done: 2 } as const;
    expect(halfDone(document, edit)).toEqual({
      before: 'let sum = 1;\nuse(sum);\nthis.total = totals + ',
      after: '\nprint(total);\n',
    });
  });
  it('renames members only where the name begins with a dot', () => {
    const edit = { kind: 'rename', from: '.total', to: '.sum', done: 0 } as const;
    expect(halfDone(document, edit)).toEqual({
      before: 'let total = 1;\nuse(total);\nthis',
      after: '\nprint(total);\n',
    });
  });
  it('refuses an edit that has no next step', () => {
    expect(() => halfDone(document, { kind: 'rename', from: 'total', to: 'sum', done: 4 })).toThrow(
      /4 places, not in 5/,
    );
    expect(() => halfDone(document, { kind: 'parameter', call: 'use', argument: 'x', done: 1 })).toThrow(
      /Too few calls/,
    );
    expect(() => halfDone(document, { kind: 'pattern', line: 'none', removed: 1 })).toThrow(/No line is/);
  });
  it('adds an argument before the bracket that closes the call', () => {
    const calls = 'run(f(a), b);\nrerun(x);\nrun();\nrun(c); // last\nend\n';
    expect(halfDone(calls, { kind: 'parameter', call: 'run', argument: 'now', done: 2 })).toEqual({
      before: 'run(f(a), b, now);\nrerun(x);\nrun(now);\nrun(',
      after: '\nend\n',
    });
  });
  it('takes lines of a pattern away and keeps the indentation of the first', () => {
    const lines = 'a {\n  one: 1,\n  two: 2,\n  three: 3,\n}\n';
    expect(halfDone(lines, { kind: 'pattern', line: '  two: 2,', removed: 2 })).toEqual({
      before: 'a {\n  one: 1,\n  ',
      after: '\n}\n',
    });
  });
});

describe('prompt sets', () => {
  it('has edits of each kind in at least three languages, none with text after the cursor on its line', () => {
    const edits = readPrompts(ROOT, ['edit']);
    expect(edits.length).toBeGreaterThanOrEqual(12);
    expect(new Set(edits.map(({ language }) => language)).size).toBeGreaterThanOrEqual(3);
    for (const kind of ['rename', 'parameter', 'pattern']) {
      expect(edits.filter(({ id }) => id.startsWith(`edit-${kind}-`)).length).toBeGreaterThanOrEqual(3);
    }
    expect(edits.filter(({ after }) => after !== '' && !after.startsWith('\n'))).toEqual([]);
    expect(new Set(edits.map(({ id }) => id)).size).toBe(edits.length);
  });
  it('reads the sets that were asked for, in their order', () => {
    const kinds = (name: string): string[] => [...new Set(readPrompts(ROOT, readSet(name)).map(({ kind }) => kind))];
    expect(kinds('all')).toEqual(['code', 'edit', 'prose', 'summary']);
    expect(kinds('prose')).toEqual(['prose']);
    expect(kinds('edit,code')).toEqual(['edit', 'code']);
    expect(() => readSet('poems')).toThrow(/no prompt set "poems": use code, edit, prose, summary or all/);
  });
  it('spreads a choice over all', () => {
    expect(spread([0, 1, 2, 3, 4, 5], 3)).toEqual([0, 2, 4]);
    expect(spread([0, 1, 2, 3, 4, 5, 6], 3)).toHaveLength(3);
    expect(spread([0, 1], 5)).toEqual([0, 1]);
  });
});

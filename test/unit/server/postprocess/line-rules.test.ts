import { describe, expect, it } from 'vitest';
import { blankLines } from '../../../../server/postprocess/blank-lines';
import { proseAfterCode, isSentence } from '../../../../server/postprocess/prose-after-code';
import { repeatedLines } from '../../../../server/postprocess/repeated-lines';
import { singleLine } from '../../../../server/postprocess/single-line';
import { suffixLines } from '../../../../server/postprocess/suffix-lines';
import { unfinishedLine } from '../../../../server/postprocess/unfinished-line';
import { runRule } from './run';

describe('blankLines', () => {
  it('ends code at two blank lines and prose at one', () => {
    expect(runRule(blankLines(2), 'a\n\nb\n\n\nc').text).toBe('a\n\nb\n\n');
    expect(runRule(blankLines(1), 'One.\nTwo.\n\nThree.').text).toBe('One.\nTwo.\n');
  });
  it('lets a paragraph begin after the cursor’s own line', () => {
    expect(runRule(blankLines(1), '\n\nNew.\n\nOther.').text).toBe('\n\nNew.\n');
  });
});

describe('proseAfterCode', () => {
  const code = (text: string): string => runRule(proseAfterCode(false, true), text).text;
  it('ends at fences, headings, labels and sentences', () => {
    for (const talk of [
      '```\n\nThis function',
      '### Explanation\n',
      'This function takes a list of numbers and returns its mean.\n',
      'Here is an example of how to use it:\n',
      'Explanation:\n',
      'In this example, we use a loop to add the numbers.\n',
      'The `mean` function returns the average of the values.\n',
      "Let's test it with a list of numbers.\n",
    ]) {
      expect(code(`return x\n${talk}`), talk).toBe('return x\n');
      expect(code(talk), talk).toBe('');
    }
  });
  it('lets code be code', () => {
    for (const line of [
      'This = That\n',
      'Foo.bar(baz)\n',
      'If (x) Then\n',
      'SELECT name FROM users\n',
      'Item item = new Item();\n',
      'return The_Value\n',
      'Name: string\n',
      '# This explains the next line of the code in words\n',
      '// Here is why this is done in such a way\n',
      'output:\n  name: a\n',
    ]) {
      expect(code(`x\n${line}`), line).toBe(`x\n${line}`);
    }
  });
  it('leaves docstrings and comments alone', () => {
    const doc = '"""\n    This function takes a list of numbers and sorts it.\n    """\n';
    expect(code(doc)).toBe(doc);
    expect(runRule(proseAfterCode(true, false), 'This sorts a list of numbers in place.\n').text).toMatch(/in place/);
    const block = '/*\n This is a long comment about the code below here.\n */\nx();\n';
    expect(code(block)).toBe(block);
  });
  it('talks of sentences only', () => {
    expect(isSentence('This function returns the sum of two numbers')).toBe(true);
    expect(isSentence('total = sum(values)')).toBe(false);
    expect(isSentence('import os')).toBe(false);
  });
});

describe('repeatedLines', () => {
  it('ends before the third appearance', () => {
    expect(runRule(repeatedLines(), 'console.log(a)\nconsole.log(a)\nconsole.log(a)\nb').text).toBe(
      'console.log(a)\nconsole.log(a)\n',
    );
    expect(runRule(repeatedLines(), 'first line\nsecond line\n'.repeat(4)).text).toBe(
      'first line\nsecond line\n'.repeat(2),
    );
  });
  it('lets short closers come often', () => {
    const text = 'a {\n}\nb {\n}\nc {\n}\nd {\n}\n';
    expect(runRule(repeatedLines(), text).text).toBe(text);
  });
  it('never shows the start of a third appearance', () => {
    const { text } = runRule(repeatedLines(), 'The cat sat.\nThe cat sat.\nThe cat sat.', 'maxTokens');
    expect(text).toBe('The cat sat.\nThe cat sat.\n');
  });
});

describe('singleLine', () => {
  it('ends with the cursor’s line', () => {
    expect(runRule(singleLine(), 'a, b)\nreturn').text).toBe('a, b)');
  });
});

describe('suffixLines', () => {
  it('ends before a line that stands below already', () => {
    expect(runRule(suffixLines('  ', '  return total;\n}\n'), 'total += x;\n  return total;\n}').text).toBe(
      'total += x;\n',
    );
  });
  it('shows nothing of a first line that repeats the next one', () => {
    const { text, releases } = runRule(suffixLines('  ', '  return total;\n}\n'), 'return total;\nx');
    expect(text).toBe('');
    expect(releases.join('')).toBe('');
  });
  it('tells closers by their indentation', () => {
    expect(runRule(suffixLines('    ', '  }\n}\n'), 'a();\n    }\n  }\n}').text).toBe('a();\n    }\n');
  });
  it('releases what begins alike and goes on otherwise', () => {
    expect(runRule(suffixLines('  ', '  return total;\n}\n'), 'return total + 1;').text).toBe('return total + 1;');
  });
});

describe('unfinishedLine', () => {
  it('drops the line that the token limit cut', () => {
    expect(runRule(unfinishedLine(), 'a = 1\nb = fo', 'maxTokens').text).toBe('a = 1\n');
    expect(runRule(unfinishedLine(), 'a = 1\nb = fo', 'endOfText').text).toBe('a = 1\nb = fo');
  });
  it('keeps the only line', () => {
    expect(runRule(unfinishedLine(), 'a = fo', 'maxTokens').text).toBe('a = fo');
    expect(runRule(unfinishedLine(), '\n  a = fo', 'maxTokens').text).toBe('\n  a = fo');
  });
});

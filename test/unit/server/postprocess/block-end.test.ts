import { describe, expect, it } from 'vitest';
import { blockEnd } from '../../../../server/postprocess/block-end';
import { runRule } from './run';

const text = (linePrefix: string, generated: string, nextLine = ''): string =>
  runRule(blockEnd({ linePrefix, nextLine }), generated).text;

describe('blockEnd', () => {
  it('ends a Python body at the first line that lies outside', () => {
    expect(text('    ', 'total = 0\n    return total\n\n\ndef other():\n    pass')).toBe(
      'total = 0\n    return total\n\n\n',
    );
  });

  it('keeps nested blocks and what follows them in the same body', () => {
    const body = 'for x in xs:\n        total += x\n    return total\n';
    expect(text('    ', body)).toBe(body);
  });

  it('ends the block that the cursor’s line opens, its closer included', () => {
    expect(text('function f() {', '\n  return 1;\n}\n\nfunction g() {')).toBe('\n  return 1;\n}');
    expect(text('def f():', '\n    return 1\n\nprint(f())\n')).toBe('\n    return 1\n\n');
  });

  it('goes on with else and except', () => {
    const body = '\n    a()\nelse:\n    b()\n';
    expect(text('if x:', `${body}c()\n`)).toBe(body);
    expect(text('  if (x) {', '\n    a();\n  } else {\n    b();\n  }\n  c();\n')).toBe(
      '\n    a();\n  } else {\n    b();\n  }',
    );
  });

  it('adds the closer of the block around the cursor, unless it is there', () => {
    expect(text('  ', 'return 1;\n}\n\nfunction g() {')).toBe('return 1;\n}');
    expect(text('  ', 'return 1;\n}\n\nfunction g() {', '}')).toBe('return 1;\n');
  });

  it('does not start another top-level thing', () => {
    expect(text('', 'x = 1\ny = 2\n\nz = 3\n')).toBe('x = 1\ny = 2\n\n');
    expect(text('', 'def f():\n    return 1\n\n\ndef g():\n    return 2\n')).toBe('def f():\n    return 1\n\n\n');
    expect(text('return total', '\n\ndef g():\n')).toBe('\n\n');
  });

  it('shows the first line before it is finished', () => {
    const { releases } = runRule(blockEnd({ linePrefix: '    ', nextLine: '' }), 'return x');
    expect(releases.slice(0, 3)).toEqual(['r', 'e', 't']);
  });

  it('measures tabs', () => {
    expect(text('\t', 'a()\n\tb()\n}\nc()')).toBe('a()\n\tb()\n}');
  });
});

/** Turns a summary into a comment of a language. Pure. */

export interface CommentSyntax {
  readonly line: string | null;
  readonly block: readonly [string, string] | null;
}

/** Columns a comment is wrapped at, indentation included. */
const WIDTH = 100;
/** Where the indentation leaves less, comments run over rather than become a column of words. */
const NARROWEST = 40;

/** Syntax by language id, for languages whose own configuration can't be read. */
const SLASHES: CommentSyntax = { line: '//', block: ['/*', '*/'] };
const HASH: CommentSyntax = { line: '#', block: null };
const DASHES: CommentSyntax = { line: '--', block: null };
const SEMICOLON: CommentSyntax = { line: ';', block: null };
const PERCENT: CommentSyntax = { line: '%', block: null };
const MARKUP: CommentSyntax = { line: null, block: ['<!--', '-->'] };
const STYLE: CommentSyntax = { line: null, block: ['/*', '*/'] };

const LANGUAGES: readonly (readonly [CommentSyntax, readonly string[]])[] = [
  [
    SLASHES,
    [
      ...['c', 'cpp', 'csharp', 'cuda-cpp', 'dart', 'fsharp', 'go', 'groovy', 'java', 'javascript', 'javascriptreact'],
      ...['jsonc', 'kotlin', 'less', 'objective-c', 'objective-cpp', 'php', 'rust', 'scala', 'scss', 'shaderlab'],
      ...['swift', 'typescript', 'typescriptreact', 'zig'],
    ],
  ],
  [
    HASH,
    [
      ...['cmake', 'coffeescript', 'dockerfile', 'dotenv', 'elixir', 'ignore', 'julia', 'makefile', 'perl'],
      ...['powershell', 'properties', 'python', 'r', 'ruby', 'shellscript', 'toml', 'yaml'],
    ],
  ],
  [DASHES, ['haskell', 'lua', 'sql']],
  [SEMICOLON, ['asm', 'clojure', 'ini', 'lisp', 'scheme']],
  [PERCENT, ['bibtex', 'erlang', 'latex', 'matlab', 'tex']],
  [MARKUP, ['handlebars', 'html', 'markdown', 'svg', 'vue', 'xml', 'xsl']],
  [STYLE, ['css']],
];

export function fallbackSyntax(languageId: string): CommentSyntax | null {
  return LANGUAGES.find(([, ids]) => ids.includes(languageId))?.[0] ?? null;
}

/** Line comments where the language has them, else one block comment; ends with a line break. */
export function asComment(summary: string, syntax: CommentSyntax, indentation: string): string {
  if (syntax.line !== null) {
    const { line } = syntax;
    const width = Math.max(NARROWEST, WIDTH - indentation.length - line.length - 1);
    return joined(wrap(summary, width).map((text) => `${indentation}${line} ${text}`.trimEnd()));
  }
  if (syntax.block === null) throw new Error('A language without comments can hold none.');
  const [open, close] = syntax.block;
  const lines = wrap(withoutCloser(summary, close), Math.max(NARROWEST, WIDTH - indentation.length - 3));
  if (lines.length === 1) return joined([`${indentation}${open} ${lines.join('')} ${close}`]);
  return joined([
    `${indentation}${open}`,
    ...lines.map((text) => `${indentation}   ${text}`.trimEnd()),
    `${indentation}${close}`,
  ]);
}

/** A summary that itself holds the comment's end would end it early. */
function withoutCloser(text: string, close: string): string {
  return text.split(close).join(`${close.slice(0, 1)} ${close.slice(1)}`);
}

function joined(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('');
}

/** Wraps each line at spaces; blank lines stay, at the ends they go. */
function wrap(text: string, width: number): string[] {
  return text
    .trim()
    .split(/\r\n?|\n/)
    .flatMap((line) => wrapLine(line, width));
}

function wrapLine(line: string, width: number): string[] {
  const result: string[] = [];
  let current = '';
  for (const word of line.split(/\s+/).filter((part) => part !== '')) {
    const longer = current === '' ? word : `${current} ${word}`;
    if (current !== '' && longer.length > width) {
      result.push(current);
      current = word;
    } else {
      current = longer;
    }
  }
  return [...result, current];
}

/** What kind of text surrounds the cursor. */

const PROSE = new Set([
  'plaintext',
  'markdown',
  'latex',
  'tex',
  'restructuredtext',
  'asciidoc',
  'quarto',
  'rmd',
  'typst',
  'git-commit',
  'scminput',
]);

/** Prose by language, except inside a fenced block of code. */
export function isProse(languageId: string, before: string): boolean {
  if (!PROSE.has(languageId)) return false;
  const fences = before.match(/^\s*(?:```|~~~)/gm)?.length ?? 0;
  return fences % 2 === 0;
}

/** The cursor stands in a docstring, a block comment or a line comment, as far as the text before it tells. */
export function insideText(before: string): boolean {
  const quotes = before.match(/"""|'''/g)?.length ?? 0;
  if (quotes % 2 === 1) return true;
  if (before.lastIndexOf('/*') > before.lastIndexOf('*/')) return true;
  const line = before.slice(before.lastIndexOf('\n') + 1);
  return /^\s*(?:#|\/\/|--|;|%|\*)/.test(line);
}

/** Parses JSON with comments and trailing commas, as language configurations are written. Pure. */

const STRING = /"(?:[^"\\]|\\.)*"/.source;
const COMMENT = /\/\/[^\n]*|\/\*[\s\S]*?\*\//.source;
const TRAILING_COMMA = /,(?=\s*[}\]])/.source;

/** @throws SyntaxError where the rest is no JSON. */
export function parseJsonc(text: string): unknown {
  // Strings are matched first, so that what looks like a comment or a comma inside one is kept.
  const withoutComments = text.replace(
    new RegExp(`(${STRING})|${COMMENT}`, 'g'),
    (_match, string?: string) => string ?? '',
  );
  const strict = withoutComments.replace(
    new RegExp(`(${STRING})|${TRAILING_COMMA}`, 'g'),
    (_match, string?: string) => string ?? '',
  );
  return JSON.parse(strict.replace(/^\uFEFF/, ''));
}

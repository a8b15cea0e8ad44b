/**
 * Edits half done: a document as it stands in the editor while somebody renames a name down a file, adds an argument to
 * every call, or goes on with a repeated pattern, the cursor where the next step is to be written.
 */

export type Edit =
  /** A whole word; a name that begins with a dot is a member, any other is none. The cursor is where the next one stood. */
  | { readonly kind: 'rename'; readonly from: string; readonly to: string; readonly done: number }
  /** `call`: a regular expression of what stands before the opening bracket; the cursor is behind the next call's. */
  | { readonly kind: 'parameter'; readonly call: string; readonly argument: string; readonly done: number }
  /** The line and those after it, `removed` in all, are yet to be written; the cursor is behind its indentation. */
  | { readonly kind: 'pattern'; readonly line: string; readonly removed: number };

export interface EditedDocument {
  readonly before: string;
  readonly after: string;
}

/**
 * What is left of the line with the next step is gone, as when it is typed anew; the lines below are the old ones.
 * @throws where the document has no further step
 */
export function halfDone(document: string, edit: Edit): EditedDocument {
  switch (edit.kind) {
    case 'rename':
      return rename(document, edit);
    case 'parameter':
      return addArgument(document, edit);
    case 'pattern':
      return withoutLines(document, edit);
  }
}

function rename(document: string, { from, to, done }: Extract<Edit, { kind: 'rename' }>): EditedDocument {
  const places = [...document.matchAll(namePattern(from))].map(({ index }) => index);
  const cursor = places[done];
  if (cursor === undefined) throw new Error(`"${from}" stands in ${places.length} places, not in ${done + 1}.`);
  let before = '';
  let copied = 0;
  for (const place of places.slice(0, done)) {
    before += document.slice(copied, place) + to;
    copied = place + from.length;
  }
  return { before: before + document.slice(copied, cursor), after: fromLineEnd(document, cursor) };
}

function namePattern(name: string): RegExp {
  const literal = name.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(name.startsWith('.') ? `${literal}\\b` : `(?<![.\\w])${literal}\\b`, 'g');
}

function addArgument(document: string, { call, argument, done }: Extract<Edit, { kind: 'parameter' }>): EditedDocument {
  let changed = document;
  let from = 0;
  const opening = (): number => {
    const match = new RegExp(`(?<!\\w)(?:${call})\\(`, 'g');
    match.lastIndex = from;
    const found = match.exec(changed);
    if (found === null) throw new Error(`Too few calls of ${call} to edit.`);
    return found.index + found[0].length;
  };
  for (let call = 0; call < done; call++) {
    const start = opening();
    const end = closingBracket(changed, start);
    const separator = changed.slice(start, end).trim() === '' ? '' : ', ';
    changed = `${changed.slice(0, end)}${separator}${argument}${changed.slice(end)}`;
    from = end;
  }
  const cursor = opening();
  return { before: changed.slice(0, cursor), after: fromLineEnd(changed, cursor) };
}

/** Brackets inside strings count too, which the documents here don't have. */
function closingBracket(text: string, start: number): number {
  let depth = 1;
  for (let index = start; index < text.length; index++) {
    if (text[index] === '(') depth++;
    if (text[index] === ')' && --depth === 0) return index;
  }
  throw new Error('A call to edit has no closing bracket.');
}

function withoutLines(document: string, { line, removed }: Extract<Edit, { kind: 'pattern' }>): EditedDocument {
  const lines = document.split('\n');
  const at = lines.indexOf(line);
  if (at < 0) throw new Error(`No line is "${line}".`);
  const indentation = /^\s*/.exec(line)?.[0] ?? '';
  const below = lines.slice(at + removed);
  return {
    before: [...lines.slice(0, at), indentation].join('\n'),
    after: below.length === 0 ? '' : `\n${below.join('\n')}`,
  };
}

function fromLineEnd(document: string, cursor: number): string {
  const end = document.indexOf('\n', cursor);
  return end < 0 ? '' : document.slice(end);
}

/** What is asked for: a completion at a cursor or a summary of a selection, one JSON object a line. */
export interface AnswerRequest {
  readonly id: string;
  readonly kind: 'completion' | 'summary';
  readonly languageId: string;
  /** Text before the cursor, cut as server/completion/source.ts cuts it; of a summary, the selection. */
  readonly before: string;
  /** `before` begins where the document begins. */
  readonly whole: boolean;
  /** Line number of the cursor in the document. */
  readonly line: number;
  /** Text after the cursor. */
  readonly after: string;
  readonly contextTokens: number;
  readonly temperature: number;
  readonly seed: number;
  /** Tokens written elsewhere, which only the product's rules have to see; null where the batch program writes them. */
  readonly recorded: readonly RecordedToken[] | null;
}

export interface RecordedToken {
  readonly token: number;
  /** Empty for an end token. */
  readonly bytes: Uint8Array;
}

/** @throws a sentence where the line is no request */
export function readRequest(line: string): AnswerRequest {
  const value: unknown = JSON.parse(line);
  const field = (name: string): unknown =>
    typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
  const text = (name: string): string => {
    const found = field(name);
    if (typeof found !== 'string') throw new Error(`A request lacks ${name}: ${line.slice(0, 80)}`);
    return found;
  };
  const number = (name: string): number => {
    const found = field(name);
    if (typeof found !== 'number') throw new Error(`A request lacks ${name}: ${line.slice(0, 80)}`);
    return found;
  };
  return {
    id: text('id'),
    kind: text('kind') === 'summary' ? 'summary' : 'completion',
    languageId: text('languageId'),
    before: text('before'),
    whole: field('whole') === true,
    line: number('line'),
    after: text('after'),
    contextTokens: number('contextTokens'),
    temperature: number('temperature'),
    seed: number('seed'),
    recorded: recordedTokens(field('recorded')),
  };
}

/** `[token, bytes in hex, token, bytes in hex, …]`. */
function recordedTokens(value: unknown): RecordedToken[] | null {
  if (!Array.isArray(value)) return null;
  const tokens: RecordedToken[] = [];
  for (let i = 0; i + 1 < value.length; i += 2) {
    tokens.push({ token: Number(value[i]), bytes: Buffer.from(String(value[i + 1]), 'hex') });
  }
  return tokens;
}

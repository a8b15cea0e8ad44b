// Where the user types in the latency measurement: lines of the sample workspace, one after the other.

export interface Place {
  readonly file: string;
  /** Line and column from 1; the column is one past the line's last character. */
  readonly line: number;
  readonly column: number;
}

/** Lines a person might go on writing after: not empty and not only a closing bracket. */
const WORTHWHILE = /[\w.,:(={]\s*$/;

/** `count` places of a file, spread evenly over it. */
export function placesIn(file: string, text: string, count: number): Place[] {
  const candidates = text
    .split('\n')
    .map((content, index) => ({ content, line: index + 1 }))
    .filter(({ content }) => WORTHWHILE.test(content) && content.trim().length > 3);
  const step = Math.max(1, candidates.length / count);
  return Array.from({ length: Math.min(count, candidates.length) }, (_, index) => candidates[Math.floor(index * step)])
    .filter((candidate) => candidate !== undefined)
    .map(({ content, line }) => ({ file, line, column: content.length + 1 }));
}

/** What kernel_check's lines must say, on whatever CPU it ran. */
import { expect } from 'vitest';

interface MatrixLine {
  rows: number;
  columns?: number;
  n?: number;
  error?: number;
  typeError?: number;
  differentRows?: number;
  unlikeAlone?: number;
  bad?: string;
  shown?: boolean;
  supported?: boolean;
}

interface AttentionLine {
  dim: number;
  group: number;
  cells: number;
  n: number;
  error: number;
  openError: number;
  differentRows: number;
  unlikeAlone: number;
  sameSpread: boolean;
  spreadError: number;
}

/** Of layer_check: `different` values between numbers of threads, or the greatest `error` against single nodes. */
interface LayerLine {
  check: 'nodes' | 'threads' | 'shifted' | 'turned' | 'order';
  rows?: number;
  different?: number;
  error?: number;
  together?: number;
  moved?: number;
}

/** A verification's rows at most; above, a table may have kernels for prompts, whose rounding is another. */
const MOST_ROWS = 72;

/** Rows have the bits they have alone, a prompt's at least those they have in any prompt (`prompts`: in kernels of its own). */
function expectBits(
  lines: readonly { n?: number; differentRows?: number; unlikeAlone?: number }[],
  prompts: boolean,
): void {
  expect(lines.filter((line) => (line.differentRows ?? 0) > 0)).toEqual([]);
  const unlike = lines.filter((line) => (line.unlikeAlone ?? 0) > 0);
  expect(unlike.filter(({ n = 0 }) => n <= MOST_ROWS)).toEqual([]);
  // Were it none, the kernels for prompts would not have been asked.
  expect(unlike.length > 0).toBe(prompts);
}

/** A quantized activation's error shows beside weights of the same 8 bits; with fewer bits it is far below theirs. */
const ERROR_LIMIT = new Map([
  ['q4_0', 0.2],
  ['q4_1', 0.2],
  ['q5_0', 0.35],
  ['q5_1', 0.35],
  ['q8_0', 1.5],
  ['q4_K', 0.2],
  ['q5_K', 0.35],
  ['q6_K', 0.6],
]);

export const WEIGHT_TYPES = [...ERROR_LIMIT.keys()];
export const CACHE_TYPES = ['f16', 'q8_0'];

/** A program's lines of JSON. */
export const parseLines = <T>(text: string): T[] =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as T);

/**
 * Output of `kernel_check LIBRARY matrix TYPE [quick]`: near double precision, bits of the row alone, bad inputs shown.
 *
 * @param prompts whether the table has kernels of its own for prompts
 */
export function expectProducts(type: string, output: string, quick: boolean, prompts: boolean): void {
  const result = parseLines<MatrixLine>(output);
  const products = result.filter((line) => line.error !== undefined);
  const counts = new Set(products.map((line) => line.n));
  expect(counts.size).toBeGreaterThanOrEqual(quick ? 15 : 74); // all: 1–73 and 512
  expect(counts).toContain(512);
  for (const line of products) {
    const { error = Infinity, typeError = 0 } = line;
    expect(error / typeError, JSON.stringify(line)).toBeLessThan(ERROR_LIMIT.get(type) ?? 0);
  }
  expectBits(result, prompts);
  const bad = result.filter((line) => line.bad !== undefined);
  expect(bad.length).toBeGreaterThan(0);
  expect(bad.filter((line) => line.shown !== true)).toEqual([]);
  expect(result.at(-1)).toEqual({ rows: 15, supported: false });
}

/** Output of `kernel_check LIBRARY attention TYPE [quick]`; `prompts` as above, in bf16: numbers about 1 within 2^-8. */
export function expectAttention(output: string, quick: boolean, prompts: boolean): void {
  const result = parseLines<AttentionLine>(output);
  expect(result.length).toBeGreaterThan(quick ? 50 : 100);
  for (const line of result) {
    const rounded = prompts && line.n > MOST_ROWS;
    const limit = rounded ? 4e-3 : 2e-6;
    expect(Math.max(line.error, line.openError), JSON.stringify(line)).toBeLessThan(limit);
    if (rounded) expect(line.spreadError, JSON.stringify(line)).toBeLessThan(limit);
    else expect(line.sameSpread, JSON.stringify(line)).toBe(true);
  }
  expectBits(result, prompts);
}

/** Nodes computed together give what they give one by one, and the same bits on any number of threads. */
export function expectLayers(output: string): void {
  const lines = parseLines<LayerLine>(output);
  expect(new Set(lines.map(({ check }) => check))).toEqual(new Set(['nodes', 'threads', 'shifted', 'turned', 'order']));
  // Two layers' keys and values with their queries, and up with gate.
  expect(lines.filter(({ check }) => check === 'order')).toEqual([{ check: 'order', together: 6, moved: 0 }]);
  const single = lines.filter(({ check }) => check === 'nodes');
  // A norm's rounding may move an activation, attention's output included, to the next of its 256 steps.
  expect(single.filter(({ error = NaN }) => !(error < 0.03))).toEqual([]);
  // None at all: norms were not computed with the products behind them.
  expect(single.some(({ error = 0 }) => error > 0)).toBe(true);
  expect(lines.filter(({ different = 0 }) => different !== 0)).toEqual([]);
}

/**
 * The CPU kernels, through ggml's own interface as llama.cpp calls them: every type against double precision, rows of any
 * batch against the row alone, bad inputs; then a whole model's logits, bit for bit, and its perplexity.
 *
 * SPECDIFF_KERNEL_TESTS: `quick` (in `npm test`), `full` or `sanitize` (scripts/test-kernels.mjs).
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { buildKernels, machineVariant } from '../../scripts/kernels.mjs';
import { TARGET, heldOutTexts } from '../support/prompts';
import { cpuLibrary } from '../support/native';

const ROOT = path.resolve(import.meta.dirname, '../..');
const MINUTES = 60_000;
const EXTENT = process.env['SPECDIFF_KERNEL_TESTS'] ?? 'quick';
const QUICK = EXTENT === 'quick' ? ['quick'] : [];

interface MatrixLine {
  rows: number;
  columns?: number;
  n?: number;
  error?: number;
  typeError?: number;
  differentRows?: number;
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
  sameSpread: boolean;
}

interface InvarianceLine {
  check: 'batch' | 'pieces' | 'tree' | 'commit';
  context: number;
  n: number;
  different: number;
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

const variant = machineVariant();
/** Built here and not in a hook, since the library says which instruction sets there are to test. */
const built =
  variant === null ? null : await buildKernels(ROOT, variant, { tools: true, sanitize: EXTENT === 'sanitize' });

async function run(program: string, args: readonly string[], kernels = ''): Promise<string> {
  if (built === null) throw new Error('no kernels for this machine');
  // Leaks are llama.cpp's and ggml's own: what they keep until the process ends.
  const env = { ...process.env, SPECDIFF_KERNELS: kernels, ASAN_OPTIONS: 'detect_leaks=0' };
  const { stdout } = await promisify(execFile)(path.join(built.build, program), args, { maxBuffer: 1 << 26, env });
  return stdout;
}

async function lines<T>(program: string, kernels: string, ...args: string[]): Promise<T[]> {
  const text = await run(program, [built?.library ?? '', ...args], kernels);
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as T);
}

/** All that this machine runs; the best one alone where it is to be quick. */
const usable = built === null ? ['none'] : (await run('kernel_check', [built.library, 'kernels'])).trim().split('\n');
const tested = EXTENT === 'quick' ? usable.slice(0, 1) : usable;

describe.skipIf(built === null).each(tested)(
  `CPU kernels ${variant === null ? '[SKIP: there are none for this CPU]' : `of ${variant}, ${EXTENT}`}: %s`,
  (kernels) => {
    it.each([...ERROR_LIMIT.keys()])(
      'multiply %s like double precision, in any batch, with any row count',
      async (type) => {
        const result = await lines<MatrixLine>('kernel_check', kernels, 'matrix', type, ...QUICK);
        const products = result.filter((line) => line.error !== undefined);
        const counts = new Set(products.map((line) => line.n));
        expect(counts.size).toBeGreaterThanOrEqual(EXTENT === 'quick' ? 15 : 74); // all: 1–73 and 512
        expect(counts).toContain(512);
        for (const line of products) {
          const { error = Infinity, typeError = 0 } = line;
          expect(error / typeError, JSON.stringify(line)).toBeLessThan(ERROR_LIMIT.get(type) ?? 0);
        }
        expect(result.filter((line) => (line.differentRows ?? 0) > 0)).toEqual([]);
        const bad = result.filter((line) => line.bad !== undefined);
        expect(bad.length).toBeGreaterThan(0);
        expect(bad.filter((line) => line.shown !== true)).toEqual([]);
        expect(result.at(-1)).toEqual({ rows: 24, supported: false });
      },
      10 * MINUTES,
    );

    it.each(['f16', 'q8_0'])(
      'attend over an %s cache like double precision, in any batch, whatever lies between',
      async (type) => {
        const result = await lines<AttentionLine>('kernel_check', kernels, 'attention', type, ...QUICK);
        expect(result.length).toBeGreaterThan(EXTENT === 'quick' ? 50 : 100);
        for (const line of result) {
          expect(Math.max(line.error, line.openError), JSON.stringify(line)).toBeLessThan(2e-6);
        }
        expect(result.filter((line) => line.differentRows > 0 || !line.sameSpread)).toEqual([]);
      },
      15 * MINUTES,
    );

    describe.skipIf(!existsSync(TARGET))('on the default model', () => {
      // Two threads once, for the way they share work; they spin at barriers, which costs where others want the cores.
      it.each([
        { threads: '2', contexts: EXTENT === 'quick' ? ['60'] : ['200'] },
        { threads: '1', contexts: EXTENT === 'full' ? ['0', '600', '2000'] : ['0', '300'] },
      ])(
        'give every row the bits it has alone: context $contexts, $threads thread(s)',
        async ({ threads, contexts }) => {
          const result = await lines<InvarianceLine>('batch_invariance', kernels, TARGET, threads, ...contexts);
          for (const context of contexts) {
            const checks = result.filter((line) => line.context === Number(context)).map((line) => line.check);
            expect(new Set(checks).size).toBe(context === '0' ? 2 : 4);
          }
          expect(result.filter((line) => line.different > 0)).toEqual([]);
        },
        20 * MINUTES,
      );

      it.skipIf(EXTENT !== 'full')(
        'have llama.cpp’s own perplexity on 2,000 tokens of real text, within 0.1 %',
        async () => {
          const folder = mkdtempSync(path.join(os.tmpdir(), 'specdiff-perplexity-'));
          const file = path.join(folder, 'text.txt');
          writeFileSync(
            file,
            heldOutTexts()
              .map(({ text }) => text)
              .join('\n\n'),
          );
          const perplexity = async (library: string): Promise<number> => {
            const text = await run('perplexity', [library, TARGET, '1', file, '2000'], kernels);
            const result = JSON.parse(text) as { tokens: number; judged: number; perplexity: number };
            expect(result).toMatchObject({ tokens: 2000, judged: 1996 });
            return result.perplexity;
          };
          const stock = await perplexity(path.join(built?.prebuilt ?? '', cpuLibrary('stock') ?? ''));
          const ours = await perplexity(built?.library ?? '');
          console.log(
            `perplexity: llama.cpp ${stock}, ${kernels} ${ours} (${((ours / stock - 1) * 100).toFixed(3)} %)`,
          );
          expect(Math.abs(ours / stock - 1)).toBeLessThan(0.001);
          // The same sums by another way: equal figures would mean that one library was measured twice.
          expect(ours).not.toBe(stock);
          rmSync(folder, { recursive: true });
        },
        10 * MINUTES,
      );
    });
  },
);

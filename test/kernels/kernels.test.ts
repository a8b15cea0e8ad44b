/**
 * The CPU kernels, through ggml's own interface as llama.cpp calls them: every type against double precision, rows of any
 * batch against the row alone, bad inputs; then a whole model's logits, bit for bit.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { buildKernels, machineVariant, type KernelBuild } from '../../scripts/kernels.mjs';

const ROOT = path.resolve(__dirname, '../..');
const MODEL = path.join(ROOT, 'models/cache/SmolLM2-135M-Instruct.Q4_1.gguf');
const MINUTES = 60_000;

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

describe.skipIf(variant === null)(`CPU kernels (${variant ?? 'none for this CPU'})`, () => {
  let built: KernelBuild;

  async function lines<T>(program: string, ...args: string[]): Promise<T[]> {
    const { stdout } = await promisify(execFile)(path.join(built.build, program), [built.library, ...args], {
      maxBuffer: 1 << 26,
    });
    return stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as T);
  }

  beforeAll(async () => {
    const result = await buildKernels(ROOT, { tools: true });
    if (result === null) throw new Error('no kernels for this machine');
    built = result;
  }, 10 * MINUTES);

  it.each([...ERROR_LIMIT.keys()])(
    'multiplies %s like double precision, in any batch, with any row count',
    async (type) => {
      const result = await lines<MatrixLine>('kernel_check', 'matrix', type);
      const products = result.filter((line) => line.error !== undefined);
      expect(new Set(products.map((line) => line.n)).size).toBeGreaterThanOrEqual(74); // 1–73 and 512
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
    'attends over an %s cache like double precision, in any batch, whatever lies between',
    async (type) => {
      const result = await lines<AttentionLine>('kernel_check', 'attention', type);
      expect(result.length).toBeGreaterThan(100);
      for (const line of result) {
        expect(Math.max(line.error, line.openError), JSON.stringify(line)).toBeLessThan(2e-6);
      }
      expect(result.filter((line) => line.differentRows > 0 || !line.sameSpread)).toEqual([]);
    },
    15 * MINUTES,
  );

  // Two threads once, for the way they share work; they spin at barriers, which costs where other programs want the cores.
  describe.skipIf(!existsSync(MODEL))('on the default model', () => {
    it.each([
      { threads: '2', contexts: ['200'] },
      { threads: '1', contexts: ['0', '600', '2000'] },
    ])(
      'gives every row the bits it has alone: context $contexts, $threads thread(s)',
      async ({ threads, contexts }) => {
        const result = await lines<InvarianceLine>('batch_invariance', MODEL, threads, ...contexts);
        for (const context of contexts) {
          const checks = result.filter((line) => line.context === Number(context)).map((line) => line.check);
          expect(new Set(checks).size).toBe(context === '0' ? 2 : 4);
        }
        expect(result.filter((line) => line.different > 0)).toEqual([]);
      },
      20 * MINUTES,
    );
  });
});

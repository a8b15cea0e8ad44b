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
import { CACHE_TYPES, WEIGHT_TYPES, expectAttention, expectLayers, expectProducts, parseLines } from './expectations';

const ROOT = path.resolve(import.meta.dirname, '../..');
const MINUTES = 60_000;
const EXTENT = process.env['SPECDIFF_KERNEL_TESTS'] ?? 'quick';

interface InvarianceLine {
  check: 'batch' | 'pieces' | 'tree' | 'commit';
  context: number;
  n: number;
  different: number;
}

interface Perplexity {
  perplexity: number;
  /** −log p of each token. */
  surprises: number[];
}

/** Mean of a − b and its standard error. */
function difference(a: readonly number[], b: readonly number[]): { mean: number; error: number } {
  const each = a.map((value, i) => value - (b[i] ?? NaN));
  const mean = each.reduce((sum, x) => sum + x, 0) / each.length;
  const variance = each.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (each.length - 1);
  return { mean, error: Math.sqrt(variance / each.length) };
}

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

const check = (kernels: string, ...args: string[]): Promise<string> =>
  run('kernel_check', [built?.library ?? '', ...args, ...(EXTENT === 'quick' ? ['quick'] : [])], kernels);

/** All that this machine runs; the best one alone where it is to be quick. */
const usable = built === null ? ['none'] : (await run('kernel_check', [built.library, 'kernels'])).trim().split('\n');
const tested = EXTENT === 'quick' ? usable.slice(0, 1) : usable;

describe.skipIf(built === null).each(tested)(
  `CPU kernels ${variant === null ? '[SKIP: there are none for this CPU]' : `of ${variant}, ${EXTENT}`}: %s`,
  (kernels) => {
    /** Kernels of its own for batches larger than any verification. */
    const prompts = kernels === 'amx';

    it.each(WEIGHT_TYPES)(
      'multiply %s like double precision, in any batch, with any row count',
      async (type) => {
        expectProducts(type, await check(kernels, 'matrix', type), EXTENT === 'quick', prompts);
      },
      10 * MINUTES,
    );

    it.each(CACHE_TYPES)(
      'attend over an %s cache like double precision, in any batch, whatever lies between',
      async (type) => {
        expectAttention(await check(kernels, 'attention', type), EXTENT === 'quick', prompts);
      },
      15 * MINUTES,
    );

    it('fill a tensor', async () => {
      const result = parseLines<{ count: number; different: number }>(
        await run('kernel_check', [built?.library ?? '', 'fill'], kernels),
      );
      expect(result.length).toBeGreaterThan(0);
      expect(result.filter(({ different }) => different !== 0)).toEqual([]);
    });

    it(
      'compute nodes together to what they are one by one, on any number of threads',
      async () => {
        expectLayers(await run('layer_check', [built?.library ?? ''], kernels));
      },
      2 * MINUTES,
    );

    describe.skipIf(!existsSync(TARGET))('on the default model', () => {
      // Two threads once, for the way they share work; they spin at barriers, which costs where others want the cores.
      const runs = [
        { threads: '2', contexts: ['200'] },
        { threads: '1', contexts: EXTENT === 'full' ? ['0', '600', '2000'] : ['0', '300'] },
      ];
      it.each(EXTENT === 'quick' ? runs.slice(1) : runs)(
        'give every row the bits it has alone: context $contexts, $threads thread(s)',
        async ({ threads, contexts }) => {
          const args = [built?.library ?? '', TARGET, threads, ...contexts];
          const result = parseLines<InvarianceLine>(await run('batch_invariance', args, kernels));
          for (const context of contexts) {
            const checks = result.filter((line) => line.context === Number(context)).map((line) => line.check);
            expect(new Set(checks).size).toBe(context === '0' ? 2 : 4);
          }
          expect(result.filter((line) => line.different > 0)).toEqual([]);
        },
        20 * MINUTES,
      );

      it.skipIf(EXTENT !== 'full')(
        'have llama.cpp’s own perplexity on 2,000 tokens of real text, within 0.1 % and what rounding leaves to chance',
        async () => {
          const folder = mkdtempSync(path.join(os.tmpdir(), 'specdiff-perplexity-'));
          const file = path.join(folder, 'text.txt');
          writeFileSync(
            file,
            heldOutTexts()
              .map(({ text }) => text)
              .join('\n\n'),
          );
          const judge = async (library: string): Promise<Perplexity> => {
            const text = await run('perplexity', [library, TARGET, '1', file, '2000'], kernels);
            const result = JSON.parse(text) as Perplexity & { tokens: number };
            expect(result.tokens).toBe(2000);
            expect(result.surprises).toHaveLength(1996);
            return result;
          };
          const stock = await judge(path.join(built?.prebuilt ?? '', cpuLibrary('stock') ?? ''));
          const ours = await judge(built?.library ?? '');
          // The same sums rounded differently change each token's probability a little, at random: two of our own
          // instruction sets differ by 0.4 % on this text. What kernels do wrong would show beyond three deviations.
          const { mean, error } = difference(ours.surprises, stock.surprises);
          console.log(
            `perplexity: llama.cpp ${stock.perplexity}, ${kernels} ${ours.perplexity} (${(mean * 100).toFixed(3)} ± ${(error * 100).toFixed(3)} %)`,
          );
          expect(Math.abs(mean) - 3 * error).toBeLessThan(0.001);
          expect(error).toBeLessThan(0.0025);
          expect(Math.abs(mean)).toBeLessThan(0.006);
          // The same sums by another way: equal figures would mean that one library was measured twice.
          expect(ours.perplexity).not.toBe(stock.perplexity);
          rmSync(folder, { recursive: true });
        },
        10 * MINUTES,
      );
    });
  },
);

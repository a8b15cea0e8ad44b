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
import { CACHE_TYPES, WEIGHT_TYPES, expectAttention, expectProducts, parseLines } from './expectations';

const ROOT = path.resolve(import.meta.dirname, '../..');
const MINUTES = 60_000;
const EXTENT = process.env['SPECDIFF_KERNEL_TESTS'] ?? 'quick';

interface InvarianceLine {
  check: 'batch' | 'pieces' | 'tree' | 'commit';
  context: number;
  n: number;
  different: number;
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
    it.each(WEIGHT_TYPES)(
      'multiply %s like double precision, in any batch, with any row count',
      async (type) => {
        expectProducts(type, await check(kernels, 'matrix', type), EXTENT === 'quick');
      },
      10 * MINUTES,
    );

    it.each(CACHE_TYPES)(
      'attend over an %s cache like double precision, in any batch, whatever lies between',
      async (type) => {
        expectAttention(await check(kernels, 'attention', type), EXTENT === 'quick');
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

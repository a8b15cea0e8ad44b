/**
 * Greedy text on real prompts, with llama.cpp's own CPU library: plain decoding against llama.cpp's own, through the npm
 * package's own addon, and every drafter against plain decoding.
 */
import { execFile } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DrafterName } from '../../protocol/settings';
import type { NativeEngine } from '../../server/engine/addon';
import { NATIVE_DIRECTORY, cpuLibrary, generate, jobOf, nativeAddon, temporaryFolder } from '../support/native';
import { DRAFTER, TARGET, promptsOf, someHeldOut, type HeldOut } from '../support/prompts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const TEST_ADDON = path.join(ROOT, 'build/native/Release/specdiff_test.node');
const PROMPTS = 22;
const PROMPT_TOKENS = 300;
const MAX_TOKENS = 128;
/** With drafters: stock kernels verify slowly, and kernels.test.ts has all of them on ours. */
const DRAFTED_TOKENS = 64;
const CONTEXT = 2048;
/** One: the stock attention kernel divides its sums among the threads, and threads collapse beside other work. */
const THREADS = 1;
/** Rows of a batch and a single row come from different stock kernels; beyond this their choice is no tie. */
const MOST_GAP = 0.5;
const TIMEOUT_MS = 600_000;

const folder = temporaryFolder();
let engine: NativeEngine;
let heldOut: HeldOut[];
let prompts: number[][];
const plain: number[][] = [];

const lookLike = (tokens: readonly number[]): string => tokens.join(' ');

/** Runs a helper script with its input in a file, so that two copies of llama.cpp never share a process. */
async function runScript(script: string, args: readonly string[], input: unknown): Promise<unknown> {
  const file = path.join(folder, `${path.basename(script, '.mjs')}.json`);
  writeFileSync(file, JSON.stringify(input));
  const command = [path.join(import.meta.dirname, script), ...args.map((arg) => (arg === '@input' ? file : arg))];
  const { stdout } = await promisify(execFile)(process.execPath, command, { maxBuffer: 1 << 28 });
  return JSON.parse(stdout);
}

beforeAll(async () => {
  heldOut = someHeldOut(PROMPTS);
  engine = await nativeAddon('stock').load({
    targetPath: TARGET,
    drafterPath: existsSync(DRAFTER) ? DRAFTER : null,
    threads: THREADS,
    contextTokens: CONTEXT,
    learned: null,
    treeNodes: 0,
  });
  prompts = promptsOf(engine, heldOut, PROMPT_TOKENS);
  for (const prompt of prompts) {
    plain.push((await generate(engine, jobOf(prompt, { maxTokens: MAX_TOKENS }))).tokens);
  }
}, TIMEOUT_MS);

afterAll(async () => {
  await engine.dispose();
  rmSync(folder, { recursive: true, force: true });
});

describe('greedy text on real prompts', () => {
  it('covers code and prose', () => {
    expect(prompts.length).toBeGreaterThanOrEqual(20);
    expect(new Set(heldOut.map(({ kind }) => kind))).toEqual(new Set(['code', 'prose']));
    expect(plain.some((tokens) => tokens.length === MAX_TOKENS)).toBe(true);
  });

  it('of plain decoding equals llama.cpp’s own', { timeout: TIMEOUT_MS }, async () => {
    const args = [TARGET, '@input', String(MAX_TOKENS), String(THREADS), String(CONTEXT)];
    const own = (await runScript('peer.mjs', args, prompts)) as number[][];
    expect(plain.map(lookLike)).toEqual(own.map(lookLike));
  });

  const drafters: readonly DrafterName[] = ['ngram', 'diffusion'];
  it.each(drafters)(
    'of %s equals plain decoding, up to ties between kernels',
    { timeout: TIMEOUT_MS },
    async (drafter) => {
      expect(drafter === 'diffusion' ? engine.drafter : 'given').not.toBeNull();
      const differing: { id: string; at: number; prompt: number[]; token: number }[] = [];
      let drafted = 0;
      for (const [index, prompt] of prompts.entries()) {
        const run = await generate(engine, jobOf(prompt, { maxTokens: DRAFTED_TOKENS, drafter }));
        drafted += run.passes.reduce((sum, pass) => sum + pass.drafted, 0);
        const expected = plain[index]!.slice(0, DRAFTED_TOKENS);
        const length = Math.max(run.tokens.length, expected.length);
        const at = Array.from({ length }, (_, i) => i).find((i) => run.tokens[i] !== expected[i]);
        if (at === undefined) continue;
        const token = run.tokens[at];
        // Ended where plain decoding goes on (or the other way round): the end token is the one to judge, and not emitted.
        if (token === undefined || expected[at] === undefined) continue;
        differing.push({ id: heldOut[index]!.id, at, prompt: [...prompt, ...expected.slice(0, at)], token });
      }
      expect(drafted).toBeGreaterThan(0);
      const args = [
        TEST_ADDON,
        NATIVE_DIRECTORY,
        cpuLibrary('stock')!,
        TARGET,
        String(THREADS),
        String(CONTEXT),
        '@input',
      ];
      const gaps = differing.length === 0 ? [] : ((await runScript('gap.mjs', args, differing)) as number[]);
      const told = differing.map(
        ({ id, at }, i) => `${id} at token ${at} (${gaps[i]!.toFixed(3)} below the best logit)`,
      );
      console.log(
        `${drafter}: ${differing.length} of ${prompts.length} prompts differ${told.length > 0 ? `: ${told.join(', ')}` : ''}`,
      );
      for (const gap of gaps) expect(gap).toBeLessThanOrEqual(MOST_GAP);
    },
  );
});

/** specdiff-engine, the native executable, on a random model. */
import { execFile } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { NATIVE_DIRECTORY, temporaryFolder } from '../support/native';
import { writeTinyDrafter, writeTinyTarget } from '../support/tinyModel';

const ENGINE = path.join(NATIVE_DIRECTORY, process.platform === 'win32' ? 'specdiff-engine.exe' : 'specdiff-engine');
const TOKENS = 8;
const folder = temporaryFolder();
const target = writeTinyTarget(folder);
const drafter = writeTinyDrafter(folder, 'drafter', {
  seed: 2,
  blockSize: 4,
  sampleFromAnchor: true,
  slotInit: 'lookup',
});
const prompts = ['cehcehdcehce', 'abcab'].map((text, i) => {
  const file = path.join(folder, `prompt-${i}.txt`);
  writeFileSync(file, text);
  return file;
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Figures {
  readonly prompt: string;
  readonly round: number;
  readonly drafter: string;
  readonly treeNodes: number;
  readonly tokens: number;
  readonly verifications: number;
  readonly promptTokens: number;
  readonly prefillTokens: number;
  readonly nodes: number;
  readonly ids?: readonly number[];
}

const fixed = ['--target', target, '--backend', 'cpu', '--threads', '1', '--max-tokens', String(TOKENS)];

async function lines(...options: string[]): Promise<string[]> {
  const { stdout } = await promisify(execFile)(ENGINE, [...fixed, ...options]);
  return stdout.trimEnd().split('\n');
}

const figures = async (...options: string[]): Promise<Figures[]> =>
  (await lines('--json', ...options)).map((line) => JSON.parse(line) as Figures);

const of = (files: readonly string[]): string[] => files.flatMap((file) => ['--prompt-file', file]);

describe('the native executable', () => {
  it('writes one text, then its figures', async () => {
    const [text, line, ...more] = await lines(...of(prompts.slice(0, 1)));
    expect(more).toEqual([]);
    expect(text).toMatch(/^[▁a-z ]+$/);
    const row = JSON.parse(line!) as Figures;
    expect(row).toMatchObject({ tokens: TOKENS, verifications: TOKENS, drafter: 'none', treeNodes: 0, round: 0 });
    expect(row.ids).toBeUndefined();
  });

  it('lets arms take turns on several prompts, with equal greedy texts', async () => {
    const arms = 'none,ngram,diffusion,diffusion/6,auto';
    const rows = await figures(
      '--drafter-model',
      drafter,
      '--drafter',
      arms,
      '--repeat',
      '2',
      '--fresh',
      ...of(prompts),
    );
    expect(rows.map((row) => [row.prompt, row.round, row.drafter, row.treeNodes])).toEqual(
      prompts.flatMap((prompt) =>
        [0, 1].flatMap((round) => [
          [prompt, round, 'none', 0],
          [prompt, round, 'ngram', 0],
          [prompt, round, 'diffusion', 0],
          [prompt, round, 'diffusion', 6],
          [prompt, round, 'auto', 0],
        ]),
      ),
    );
    for (const row of rows) {
      expect(row.ids).toHaveLength(TOKENS);
      expect(row.ids).toEqual(rows.find(({ prompt }) => prompt === row.prompt)!.ids);
      expect(row.prefillTokens, 'each run evaluates its whole prompt').toBe(row.promptTokens);
    }
    expect(rows.some((row) => row.treeNodes === 6 && row.nodes > 0)).toBe(true);
  });

  it('samples another text in every round, and the same again', async () => {
    const sampled = ['--temperature', '1.5', '--repeat', '3', ...of(prompts.slice(0, 1))];
    const [first, again] = [await figures('--seed', '7', ...sampled), await figures('--seed', '8', ...sampled)];
    expect(new Set(first.map(({ ids }) => String(ids))).size).toBe(3);
    expect(again.slice(0, 2).map(({ ids }) => ids)).toEqual(first.slice(1).map(({ ids }) => ids));
  });

  it.each([
    [['--drafter', 'none,,auto'], 'must name a drafter'],
    [['--drafter', 'diffusion/x'], 'is not a number'],
    [['--backend', 'tpu'], 'must be auto, cpu, cuda, vulkan or metal'],
  ])('refuses %s', async (options, message) => {
    await expect(lines(...of(prompts), ...options)).rejects.toThrow(message);
  });
});

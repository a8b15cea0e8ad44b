import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BUNDLES, bundleServer, engineMissing, named, ROOT } from './support/product';

let folder: string;
beforeAll(async () => {
  await bundleServer();
  folder = await mkdtemp(join(tmpdir(), 'specdiff-cli-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function cli(...args: string[]): Promise<Ended> {
  const where = ['--extension-root', ROOT, '--storage', join(folder, 'storage')];
  const child = spawn(process.execPath, [join(BUNDLES, 'cli.js'), ...args, ...where]);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, stdout, stderr })));
}

function events(stdout: string): Record<string, unknown>[] {
  expect(stdout.endsWith('\n')).toBe(true);
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe('the command line', () => {
  it('tells wrong arguments with the usage, exit code 2', async () => {
    for (const args of [
      [],
      ['complete'],
      ['complete', 'a.py'],
      ['fly'],
      ['complete', 'a.py:1:1', '--drafter', 'magic'],
    ]) {
      const ended = await cli(...args);
      expect(ended.code, args.join(' ')).toBe(2);
      expect(ended.stderr).toMatch(/Usage:/);
      expect(ended.stdout).toBe('');
    }
  });

  it('tells what is missing in one sentence, exit code 1', async () => {
    const file = join(folder, 'x.py');
    await writeFile(file, 'x = ');
    for (const args of [
      ['complete', join(folder, 'nowhere.py:1:1')],
      ['complete', `${file}:9:1`],
      ['complete', `${file}:1:5`, '--target', join(folder, 'nowhere.gguf')],
      ['complete', '--prompt-file', join(folder, 'nowhere.txt')],
    ]) {
      const ended = await cli(...args);
      expect(ended.code, args.join(' ')).toBe(1);
      expect(ended.stderr.trimEnd().split('\n')).toHaveLength(1);
    }
  });

  it.skipIf(!existsSync('/dev/full'))('tells that its output could not be written, exit code 1', async () => {
    const full = openSync('/dev/full', 'w');
    const child = spawn(process.execPath, [join(BUNDLES, 'cli.js'), '--help'], { stdio: ['ignore', full, 'pipe'] });
    closeSync(full);
    let stderr = '';
    child.stderr!.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    expect(await new Promise((resolve) => child.once('close', resolve))).toBe(1);
    expect(stderr).toMatch(/^The output could not be written \(.*ENOSPC.*\n$/);
  });
});

describe.skipIf(engineMissing() !== null)(named('the command line with the engine'), () => {
  const FIGURES = [
    'type',
    'text',
    'tokens',
    'verifications',
    'tau',
    'draftAcceptance',
    'tokensPerSecond',
    'prefillTokens',
    'prefillMs',
    'firstBlockMs',
    'target',
    'drafter',
    'backend',
  ];

  it('computes with llama.cpp’s own kernels when asked to, and says so', async () => {
    const file = join(folder, 'stock.py');
    await writeFile(file, 'x = ');
    const args = ['complete', `${file}:1:5`, '--json', '--max-tokens', '2', '--threads', '1'];
    const ended = await cli(...args, '--kernels', 'stock');
    expect(ended.code, ended.stderr).toBe(0);
    expect(events(ended.stdout).at(-1)!['backend']).toMatch(/^CPU \(llama\.cpp( \w+)?\)$/);
    expect((await cli(...args, '--kernels', 'magic')).code).toBe(2);
  });

  it.each(['none', 'ngram', 'diffusion', 'joint', 'auto'])(
    'completes with --drafter %s as lines of JSON',
    async (drafter) => {
      const file = join(folder, 'mean.py');
      await writeFile(file, 'def mean(values):\n    """Return the mean."""\n    return \n\n\nprint(mean([1, 2]))\n');
      const ended = await cli(
        'complete',
        `${file}:3:12`,
        '--json',
        '--drafter',
        drafter,
        '--max-tokens',
        '12',
        '--threads',
        '1',
      );
      expect(ended.code, ended.stderr).toBe(0);
      const all = events(ended.stdout);
      const done = all.at(-1)!;
      const blocks = all.slice(0, -1);
      expect(Object.keys(done).slice(0, FIGURES.length)).toEqual(FIGURES);
      expect(done['type']).toBe('done');
      expect(blocks.length).toBeGreaterThan(0);
      for (const block of blocks) expect(Object.keys(block)).toEqual(['type', 'text']);
      expect(blocks.map(({ text }) => text).join('')).toBe(done['text']);
      expect(done['tau']).toBeCloseTo(Number(done['tokens']) / Number(done['verifications']), 9);
      expect(done['drafter']).toBe(drafter);
      if (drafter === 'none') expect(done['draftAcceptance']).toBeNull();
      // What was planned, and why.
      expect((done['passes'] as object[]).length).toBeGreaterThanOrEqual(Number(done['verifications']));
      for (const pass of done['passes'] as { readonly drafter: string; readonly reason: string }[]) {
        if (drafter !== 'auto') expect([drafter, 'none']).toContain(pass.drafter);
        expect(['best', 'plain', 'trial', 'refresh', 'wanted', 'nothing']).toContain(pass.reason);
      }
    },
  );

  it('prints the text alone without --json', async () => {
    const file = join(folder, 'fox.md');
    await writeFile(file, 'The quick brown fox jumps over the lazy');
    const ended = await cli('complete', `${file}:1:40`, '--max-tokens', '4', '--drafter', 'none', '--threads', '1');
    expect(ended.code, ended.stderr).toBe(0);
    expect(ended.stdout.trim()).not.toBe('');
    expect(ended.stderr).toBe('');
  });

  it('passes a raw prompt through untouched: all tokens, no stop rule', async () => {
    const file = join(folder, 'prompt.txt');
    await writeFile(file, 'def fibonacci(n):');
    const ended = await cli(
      'complete',
      '--prompt-file',
      file,
      '--json',
      '--drafter',
      'none',
      '--max-tokens',
      '60',
      '--threads',
      '1',
    );
    expect(ended.code, ended.stderr).toBe(0);
    const done = events(ended.stdout).at(-1)!;
    expect(done['tokens']).toBe(60);
    expect(done['text']).toMatch(/\n\n/);
  });

  it('repeats itself with the same seed', async () => {
    const file = join(folder, 'story.md');
    await writeFile(file, 'Once upon a time');
    const args = [
      'complete',
      `${file}:1:17`,
      '--json',
      '--temperature',
      '1',
      '--seed',
      '7',
      '--max-tokens',
      '10',
      '--drafter',
      'none',
      '--threads',
      '1',
    ];
    const [first, second] = [await cli(...args), await cli(...args)];
    expect(events(first.stdout).at(-1)!['text']).toBe(events(second.stdout).at(-1)!['text']);
  });

  it('summarizes lines of a file', async () => {
    const file = join(folder, 'sum.py');
    await writeFile(file, 'import os\n\ndef add(a, b):\n    return a + b\n');
    const ended = await cli(
      'summarize',
      `${file}:3-4`,
      '--json',
      '--drafter',
      'none',
      '--max-tokens',
      '12',
      '--threads',
      '1',
    );
    expect(ended.code, ended.stderr).toBe(0);
    const all = events(ended.stdout);
    expect(all.at(-1)!['text']).not.toBe('');
    expect(all.at(-1)!['unfinished']).toBe(true);
    expect(ended.stderr).toMatch(/limit of tokens: raise --max-tokens/);
    expect(
      all
        .slice(0, -1)
        .map(({ text }) => text)
        .join(''),
    ).toBe(all.at(-1)!['text']);
  });

  it('finds the default model in place', async () => {
    const ended = await cli('fetch-model');
    expect(ended.code, ended.stderr).toBe(0);
    expect(ended.stdout).toMatch(/is there and right/);
    expect(ended.stderr).toBe('');
  });
});

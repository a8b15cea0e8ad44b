/** Model files that are missing, damaged or of the wrong kind: one clear error, never an abort. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { NativeAddon } from '../../server/engine/addon';
import { type MetadataValue, type Tensor, encodeGguf } from '../support/gguf';
import { NATIVE_DIRECTORY, generate, jobOf, nativeAddon, temporaryFolder } from '../support/native';
import { phraseColumns } from '../support/phrases';
import {
  TINY_CONTEXT,
  TINY_VOCABULARY,
  type TinyDrafterOptions,
  tinyDrafter,
  tinyTarget,
  writeTinyDrafter,
  writeTinyTarget,
} from '../support/tinyModel';

const folder = temporaryFolder();
const PROMPT = [1, 7, 9, 7];
const fitting: TinyDrafterOptions = { seed: 2, blockSize: 4, sampleFromAnchor: true, slotInit: 'mask' };
let addon: NativeAddon;
let targetPath: string;

const load = (target: string, drafterPath: string | null = null) =>
  addon.load({ targetPath: target, drafterPath, threads: 1, contextTokens: TINY_CONTEXT, treeNodes: 0, learned: null });

function write(name: string, bytes: Uint8Array): string {
  const file = path.join(folder, name);
  writeFileSync(file, bytes);
  return file;
}

beforeAll(() => {
  addon = nativeAddon();
  targetPath = writeTinyTarget(folder);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('a target that can’t be used', () => {
  it('is missing, a folder, empty or no model at all', async () => {
    await expect(load(path.join(folder, 'nothing.gguf'))).rejects.toThrow(/does not exist: check the path/);
    mkdirSync(path.join(folder, 'folder.gguf'));
    await expect(load(path.join(folder, 'folder.gguf'))).rejects.toThrow(/is not a file/);
    await expect(load(write('empty.gguf', Buffer.alloc(0)))).rejects.toThrow(/not a GGUF model file/);
    await expect(load(write('text.gguf', Buffer.from('once upon a time')))).rejects.toThrow(/not a GGUF model file/);
  });

  it('ends early, wherever', async () => {
    const { metadata, tensors } = tinyTarget(1);
    const whole = encodeGguf(metadata, tensors);
    const steps = 120;
    for (let i = 0; i < steps; i += 1) {
      const length = Math.floor((whole.length * i) / steps);
      await expect(load(write('short.gguf', whole.subarray(0, length)))).rejects.toThrow(
        /damaged or incomplete|ends early|not a GGUF|no vocabulary|download it again/,
      );
    }
    await expect(load(write('short.gguf', whole.subarray(0, whole.length - 64)))).rejects.toThrow(/ends early/);
    await (await load(write('whole.gguf', whole))).dispose();
  });

  it('has a damaged header: an error, or a model that still runs', async () => {
    const { metadata, tensors } = tinyTarget(1);
    const whole = encodeGguf(metadata, tensors);
    const data = Object.values(tensors).reduce((sum, { values }) => sum + Math.ceil(values.byteLength / 32) * 32, 0);
    let refused = 0;
    for (let byte = 0; byte < whole.length - data; byte += 7) {
      for (const mask of [0x01, 0xff]) {
        const damaged = Buffer.from(whole);
        damaged[byte]! ^= mask;
        const engine = await load(write('damaged.gguf', damaged)).catch((error: unknown) => {
          expect((error as Error).message.length).toBeGreaterThan(20);
          refused += 1;
          return null;
        });
        if (engine === null) continue;
        await generate(engine, jobOf(PROMPT, { maxTokens: 3 })).catch(() => undefined);
        await engine.dispose();
      }
    }
    expect(refused).toBeGreaterThan(100);
  });

  const variations: readonly [string, Record<string, MetadataValue | undefined>, RegExp][] = [
    ['an unknown architecture', { 'general.architecture': { type: 'string', value: 'martian' } }, /martian|lacks/],
    [
      'an architecture that is a link',
      { 'general.architecture': { type: 'string', value: '[x](command:y)' } },
      /names an architecture that can't be one: /,
    ],
    ['no architecture', { 'general.architecture': undefined }, /does not name its architecture/],
    ['an encoder', { 'general.architecture': { type: 'string', value: 'bert' } }, /bert, which does not write text/],
    ['an embedding model', { 'llama.pooling_type': { type: 'u32', value: 3 } }, /embedding model/],
    ['no causal attention', { 'llama.attention.causal': { type: 'bool', value: false } }, /embedding model/],
    ['no vocabulary', { 'tokenizer.ggml.tokens': undefined }, /no vocabulary/],
    ['no layers', { 'llama.block_count': { type: 'u32', value: 0 } }, /block_count = 0, which can't be/],
    ['no heads', { 'llama.attention.head_count': { type: 'u32', value: 0 } }, /head_count = 0/],
    ['a missing size', { 'llama.embedding_length': undefined }, /lacks llama.embedding_length/],
    [
      'a token twice',
      { 'tokenizer.ggml.tokens': { type: 'strings', value: TINY_VOCABULARY.map(() => 'a') } },
      /token twice/,
    ],
    ['an end token outside', { 'tokenizer.ggml.eos_token_id': { type: 'u32', value: 9999 } }, /outside its vocabulary/],
  ];
  for (const [what, change, message] of variations) {
    it(`has ${what}`, async () => {
      const { metadata, tensors } = tinyTarget(1);
      const changed = Object.fromEntries(
        Object.entries({ ...metadata, ...change }).filter(
          (entry): entry is [string, MetadataValue] => entry[1] !== undefined,
        ),
      );
      await expect(load(write('wrong.gguf', encodeGguf(changed, tensors)))).rejects.toThrow(message);
    });
  }

  it('lacks a tensor, or has one of another shape', async () => {
    const { metadata, tensors } = tinyTarget(1);
    const { 'blk.1.attn_q.weight': taken, ...rest } = tensors;
    await expect(load(write('lacking.gguf', encodeGguf(metadata, rest)))).rejects.toThrow(/can't be loaded.*attn_q/s);
    const square: Tensor = { ...taken!, dimensions: [16, 64] };
    const reshaped = { ...tensors, 'blk.1.attn_q.weight': square };
    await expect(load(write('reshaped.gguf', encodeGguf(metadata, reshaped)))).rejects.toThrow(/can't be loaded/);
  });

  it('is a drafter', async () => {
    await expect(load(writeTinyDrafter(folder, 'as-target', fitting))).rejects.toThrow(/is a drafter, not a target/);
  });
});

describe('a drafter that does not fit is left out, with the reason', () => {
  async function noteOf(drafterPath: string): Promise<string> {
    const engine = await load(targetPath, drafterPath);
    expect(engine.drafter).toBeNull();
    // Everything else goes on, plainly where the drafter was asked for.
    const wanted = await generate(engine, jobOf(PROMPT));
    const { tokens, passes } = await generate(engine, jobOf(PROMPT, { drafter: 'diffusion' }));
    expect(tokens).toEqual(wanted.tokens);
    expect(passes.every((pass) => pass.drafter === 'none')).toBe(true);
    await engine.dispose();
    return engine.drafterNote ?? '';
  }
  const note = (options: Partial<TinyDrafterOptions>) =>
    noteOf(writeTinyDrafter(folder, 'unfit', { ...fitting, ...options }));

  it('missing or truncated', async () => {
    expect(await noteOf(path.join(folder, 'nothing.gguf'))).toMatch(/does not exist/);
    const { metadata, tensors } = tinyDrafter(fitting);
    const whole = encodeGguf(metadata, tensors);
    for (const share of [0.01, 0.1, 0.3, 0.7, 0.999]) {
      const short = write('short-drafter.gguf', whole.subarray(0, Math.floor(whole.length * share)));
      expect(await noteOf(short)).toMatch(/damaged or incomplete|ends early/);
    }
  });

  it('of another tokenizer', async () => {
    expect(await note({ vocabulary: [...TINY_VOCABULARY, 'zz'] })).toMatch(
      /its tokenizer has 32 tokens and the target's has 31/,
    );
    const other = [...TINY_VOCABULARY];
    [other[10], other[11]] = [other[11]!, other[10]!];
    expect(await note({ vocabulary: other })).toMatch(/its tokenizer is another than the target's \(token 10/);
  });

  it('of another width', async () => {
    expect(await note({ width: 48 })).toMatch(/its hidden size is 48 and the target's is 32/);
  });

  it('that reads layers the target does not have', async () => {
    expect(await note({ taps: [1, 7] })).toMatch(/reads layer 7 of a target with 3 layers/);
  });

  it('that is no drafter', async () => {
    const { metadata, tensors } = tinyDrafter(fitting);
    const bytes = encodeGguf({ ...metadata, 'general.architecture': { type: 'string', value: 'bert' } }, tensors);
    expect(await noteOf(write('encoder.gguf', bytes))).toMatch(
      /architecture is bert, neither a diffusion drafter .* nor a causal/,
    );
  });

  it('that is a language model with another tokenizer', async () => {
    const { metadata, tensors } = tinyTarget(3);
    const withTokens = (name: string, value: readonly string[]) =>
      write(name, encodeGguf({ ...metadata, 'tokenizer.ggml.tokens': { type: 'strings', value } }, tensors));
    expect(await noteOf(withTokens('swapped.gguf', [...TINY_VOCABULARY.slice(0, -1), 'ä']))).toMatch(
      /tokenizer is another than the target's \(token 30 differs\)/,
    );
    expect(await noteOf(withTokens('longer.gguf', [...TINY_VOCABULARY, 'ä']))).toMatch(
      /tokenizer has 32 tokens and the target's has 31/,
    );
  });

  it('whose reduced vocabulary points outside', async () => {
    const { metadata, tensors } = tinyDrafter({ ...fitting, draftVocabulary: 8 });
    const map: Tensor = { dimensions: [8], values: BigInt64Array.from({ length: 8 }, () => 99n) };
    const file = write('outside.gguf', encodeGguf(metadata, { ...tensors, d2t: map }));
    expect(await noteOf(file)).toMatch(/reduced vocabulary names unknown tokens/);
  });

  it.each([
    ['names a token twice', [3n, 4n, 3n, 5n], 4, /reduced vocabulary names a token twice; convert it again/],
    ['is empty', [], 0, /reduced vocabulary does not fit its output head|damaged or incomplete/],
  ])('whose reduced vocabulary %s', async (_name, tokens, rows, reason) => {
    const { metadata, tensors } = tinyDrafter({ ...fitting, draftVocabulary: Math.max(rows, 1) });
    const map: Tensor = { dimensions: [rows], values: BigInt64Array.from(tokens) };
    const head: Tensor = { dimensions: [32, rows], values: new Float32Array(32 * rows) };
    const file = write('tokens.gguf', encodeGguf(metadata, { ...tensors, d2t: map, 'output.weight': head }));
    expect(await noteOf(file)).toMatch(reason);
  });

  it('whose phrases are more than are taken', async () => {
    const many = Array.from({ length: 200_001 }, (_, i) => i);
    const columns = {
      checks: many,
      tokens: many.map(() => 3),
      counts: many.map(() => 2),
      secondCounts: many.map(() => 0),
    };
    expect(await note({ phrases: phraseColumns(columns) })).toMatch(
      /it has 200001 phrases, and at most 200000 are taken/,
    );
  });

  it('whose weights are no numbers: it changes no sampled text', async () => {
    const { metadata, tensors } = tinyDrafter({ ...fitting, draftVocabulary: 8 });
    const head = tensors['output.weight']!;
    const broken: Tensor = { ...head, values: new Float32Array(head.values.length).fill(NaN) };
    const file = write('nan.gguf', encodeGguf(metadata, { ...tensors, 'output.weight': broken }));
    const engine = await load(targetPath, file);
    const sampling = { temperature: 1, seed: 3 };
    const texts = [];
    for (const drafter of ['none', 'diffusion', 'joint', 'auto'] as const) {
      const job = jobOf(PROMPT, { drafter, acceptance: 'block', maxTokens: 40, sampling });
      texts.push((await generate(engine, job)).tokens);
    }
    expect(new Set(texts[0]).size).toBeGreaterThan(5);
    expect(texts[1]).toEqual(texts[0]);
    // Looked-up tokens are drafted on, and take other draws.
    for (const text of texts.slice(2)) expect(new Set(text).size).toBeGreaterThan(5);
    await engine.dispose();
  });

  it('whose phrases have unknown tokens', async () => {
    const columns = { checks: [1, 2], tokens: [3, 99], counts: [2, 2], secondCounts: [0, 0] };
    expect(await note({ phrases: phraseColumns(columns) })).toMatch(/its phrases have tokens that the target lacks/);
  });

  it('whose phrases are incomplete', async () => {
    const columns = { checks: [1, 2], tokens: [3, 4], counts: [2], secondCounts: [0, 0] };
    expect(await note({ phrases: phraseColumns(columns) })).toMatch(/its phrases are incomplete/);
  });

  it('while one that fits is taken', async () => {
    const engine = await load(targetPath, writeTinyDrafter(folder, 'fitting', fitting));
    expect(engine.drafterNote).toBeNull();
    expect(engine.drafter).not.toBeNull();
    await engine.dispose();
  });
});

describe('libraries', () => {
  it('are listed with their scores, best first', () => {
    const libraries = addon.listCpuLibraries(NATIVE_DIRECTORY);
    expect(libraries.length).toBeGreaterThan(0);
    expect(libraries[0]!.score).toBeGreaterThan(0);
    const scores = libraries.map(({ score }) => score);
    expect(scores).toEqual([...scores].sort((a, b) => b - a));
    expect(() => addon.listCpuLibraries(path.join(folder, 'none'))).toThrow(/can't be read/);
  });
});

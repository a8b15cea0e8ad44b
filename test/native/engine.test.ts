/** The addon on random models: greedy equality, prefix reuse, cancellation, limits, misuse. */
import { rmSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { GenerateJob, NativeAddon, NativeEngine } from '../../server/engine/addon';
import type { DrafterName } from '../../protocol/settings';
import {
  NATIVE_DIRECTORY,
  generate,
  jobOf,
  kernelsMissing,
  nativeAddon,
  temporaryFolder,
  testAddon,
} from '../support/native';
import { phrasesOf } from '../support/phrases';
import { seeded } from '../support/random';
import {
  TINY_CONTEXT,
  TINY_VOCABULARY,
  type TinyDrafterOptions,
  writeTinyDrafter,
  writeTinyTarget,
} from '../support/tinyModel';

const folder = temporaryFolder();
const DRAFTERS: readonly DrafterName[] = ['ngram', 'diffusion', 'joint', 'auto'];
const anchored: TinyDrafterOptions = { seed: 2, blockSize: 4, sampleFromAnchor: true, slotInit: 'lookup' };
const END = 2;
let addon: NativeAddon;
let engine: NativeEngine;

const uniform = seeded(9);
/** Letters only: no control token. */
const randomPrompt = (length: number, from = uniform) =>
  Array.from({ length }, () => 4 + Math.floor(from() * (TINY_VOCABULARY.length - 4)));
const load = (
  drafterPath: string | null,
  targetPath = writeTinyTarget(folder),
  threads = 1,
  learned: string | null = null,
) => addon.load({ targetPath, drafterPath, threads, contextTokens: TINY_CONTEXT, treeNodes: 0, learned });

beforeAll(async () => {
  addon = nativeAddon();
  engine = await load(writeTinyDrafter(folder, 'anchored', anchored));
});
afterAll(async () => {
  await engine.dispose();
  rmSync(folder, { recursive: true, force: true });
});

/** A prompt that the engine answers with 30 tokens or more, and that answer. */
async function longAnswer(
  of: NativeEngine,
  length = 40,
  from = uniform,
): Promise<{ prompt: number[]; plain: number[] }> {
  for (;;) {
    const prompt = randomPrompt(length, from);
    const { tokens } = await generate(of, jobOf(prompt, { maxTokens: 60 }));
    if (tokens.length >= 30) return { prompt, plain: tokens };
  }
}

describe('a job that remembers', () => {
  for (const drafter of DRAFTERS) {
    it(`drafts from what was written before, and writes the same (${drafter})`, async () => {
      const other = await load(writeTinyDrafter(folder, `remember-${drafter}`, anchored));
      const { prompt, plain } = await longAnswer(other);
      const job = jobOf(prompt, { maxTokens: 60, drafter, draftLength: 4, remember: true });
      const accepted = async (wanted: GenerateJob) => {
        const { tokens, passes } = await generate(other, wanted);
        expect(tokens).toEqual(plain);
        return passes.reduce((sum, pass) => sum + pass.accepted, 0);
      };
      const forgetful = await accepted({ ...job, remember: false });
      const first = await accepted(job);
      if (drafter !== 'auto') expect(first).toBe(forgetful);
      const again = await accepted(job);
      if (drafter === 'ngram') expect(again).toBeGreaterThanOrEqual(0.7 * plain.length);
      if (drafter !== 'auto') expect(again).toBeGreaterThanOrEqual(first);
      await other.dispose();
    });
  }
});

describe('passes that are filled up to the rows of the last one, as a GPU wants them', () => {
  beforeAll(() => {
    process.env.SPECDIFF_RUNNER = 'llama';
  });
  afterAll(() => {
    delete process.env.SPECDIFF_RUNNER;
  });
  const controller = new (testAddon().Controller)();
  controller.calibrate(1, 8);
  for (const rows of [2, 4, 8, 16]) controller.calibrate(rows, 8 + 0.1 * rows);
  controller.calibrateSwitch(16, 8);
  for (const drafter of DRAFTERS) {
    it(`write what plain decoding writes (${drafter})`, async () => {
      const target = writeTinyTarget(folder);
      const numbers = seeded(31);
      const other = await load(writeTinyDrafter(folder, `filled-${drafter}`, anchored), target, 1, controller.state());
      let filled = 0;
      for (let i = 0; i < 8; i += 1) {
        // The last ones up to the end of the context, where nothing more fits behind the text.
        const length = i < 6 ? 40 : TINY_CONTEXT - 30;
        const { prompt, plain } = await longAnswer(engine, length, numbers);
        const { tokens, passes } = await generate(other, jobOf(prompt, { maxTokens: 60, drafter }));
        expect(tokens).toEqual(plain);
        filled += passes.filter(({ rows, nodes }) => rows > nodes + 1).length;
        for (const { rows, nodes } of passes) expect(rows).toBeGreaterThan(nodes);
      }
      // A block's drafts nearly always have the same length.
      if (drafter !== 'diffusion') expect(filled).toBeGreaterThan(3);
      await other.dispose();
    });
  }
});

describe('phrases', () => {
  const acceptedBy = async (other: NativeEngine, prompt: number[], plain: number[], remember: boolean) => {
    const job = jobOf(prompt, { maxTokens: 60, drafter: 'ngram', draftLength: 4, remember });
    const { tokens, passes } = await generate(other, job);
    expect(tokens).toEqual(plain);
    return passes.reduce((sum, pass) => sum + pass.accepted, 0);
  };

  it('that come with the drafter are drafted by every job', async () => {
    const { prompt, plain } = await longAnswer(engine);
    const phrases = phrasesOf([...prompt.slice(-4), ...plain], 2);
    const other = await load(writeTinyDrafter(folder, 'phrases', { ...anchored, phrases }));
    expect(await acceptedBy(engine, prompt, plain, false)).toBeLessThan(0.7 * plain.length);
    expect(await acceptedBy(other, prompt, plain, false)).toBeGreaterThanOrEqual(0.7 * plain.length);
    const another = await longAnswer(engine);
    await acceptedBy(other, another.prompt, another.plain, true);
    // What was learned comes besides.
    expect(await acceptedBy(other, prompt, plain, true)).toBeGreaterThanOrEqual(0.7 * plain.length);
    await other.dispose();
  });

  it('that were learned are drafted by jobs that remember, and forgotten at the first that does not', async () => {
    const { prompt, plain } = await longAnswer(engine);
    const other = await load(writeTinyDrafter(folder, 'learning', anchored));
    const few = await acceptedBy(other, prompt, plain, false);
    expect(few).toBeLessThan(0.7 * plain.length);
    expect(await acceptedBy(other, prompt, plain, true)).toBe(few);
    expect(await acceptedBy(other, prompt, plain, true)).toBeGreaterThanOrEqual(0.7 * plain.length);
    expect(await acceptedBy(other, prompt, plain, false)).toBe(few);
    expect(await acceptedBy(other, prompt, plain, true)).toBe(few);
    await other.dispose();
  });
});

describe('what an engine says about itself', () => {
  it('describes target and drafter', () => {
    expect(engine.target).toMatchObject({
      name: path.basename(engine.target.path, '.gguf'),
      architecture: 'llama',
      vocabularySize: TINY_VOCABULARY.length,
      contextTokens: TINY_CONTEXT,
      fillInTheMiddle: false,
      chatTemplate: false,
    });
    expect(engine.drafter).toMatchObject({ name: 'tiny dflash', maxDraftLength: 4, slotInit: 'lookup' });
    expect(engine.drafterNote).toBeNull();
    expect(engine.threads).toBe(1);
    expect(engine.fim).toBeNull();
  });

  it('counts the slots by the block’s layout', async () => {
    const other = await load(
      writeTinyDrafter(folder, 'bonus', { ...anchored, sampleFromAnchor: false, slotInit: 'mask' }),
    );
    expect(other.drafter).toMatchObject({ maxDraftLength: 3, slotInit: 'mask' });
    await other.dispose();
  });

  it.skipIf(kernelsMissing() !== null)('tells which weights our kernels leave to llama.cpp', () => {
    expect(engine.weightsNote).toMatch(/100 % .* \(f32\)/);
  });

  it('chooses a number of threads', async () => {
    const other = await load(null, undefined, 0);
    expect(other.threads).toBeGreaterThanOrEqual(1);
    await other.dispose();
  });

  it('tokenizes, with and without the start token and special tokens', () => {
    expect([...engine.tokenize('abc', true, false)][0]).toBe(1);
    expect([...engine.tokenize('abc', false, false)]).not.toContain(1);
    expect([...engine.tokenize('</s>', false, true)]).toContain(END);
    expect([...engine.tokenize('', false, false)]).toEqual([]);
  });

  it('says so where the vocabulary has no token for a character', () => {
    expect(() => engine.tokenize('a!', false, false)).toThrow(/lacks a character.*choose another model file/);
  });

  it('refuses a chat template that is not there', () => {
    expect(() => engine.applyChatTemplate([{ role: 'user', content: 'a' }])).toThrow(/no chat template/);
  });
});

describe('greedy text', () => {
  for (const variant of [
    anchored,
    { ...anchored, seed: 5, sampleFromAnchor: false, slotInit: 'mask', draftVocabulary: 12 },
    { ...anchored, seed: 6, markovRank: 4 },
  ] satisfies TinyDrafterOptions[]) {
    it(`of every drafter is the plain one (drafter ${JSON.stringify(variant)})`, async () => {
      const other = await load(writeTinyDrafter(folder, `greedy-${variant.seed}`, variant));
      let accepted = 0;
      for (let i = 0; i < 20; i += 1) {
        const prompt = randomPrompt(4 + 3 * i);
        const lookup = Int32Array.from(randomPrompt(100));
        const plain = await generate(other, jobOf(prompt, { maxTokens: 60, lookup }));
        for (const drafter of DRAFTERS) {
          for (const draftLength of [0, 3]) {
            const drafted = await generate(other, jobOf(prompt, { maxTokens: 60, drafter, draftLength, lookup }));
            expect(drafted.tokens).toEqual(plain.tokens);
            expect(drafted.result.reason).toBe(plain.result.reason);
            accepted += drafted.passes.reduce((sum, pass) => sum + pass.accepted, 0);
          }
        }
      }
      expect(accepted).toBeGreaterThan(0);
      await other.dispose();
    });
  }

  it('is the plain one with a small language model as the drafter, and its cache stays in step', async () => {
    const same = await load(writeTinyTarget(folder));
    const other = await load(writeTinyTarget(folder, 8));
    expect(other.drafter).toMatchObject({ kind: 'causal' });
    for (let i = 0; i < 20; i += 1) {
      const prompt = randomPrompt(4 + 3 * i);
      const plain = await generate(engine, jobOf(prompt, { maxTokens: 60 }));
      for (const drafter of ['causal', 'auto'] as const) {
        for (const draftLength of [0, 3]) {
          const job = jobOf(prompt, { maxTokens: 60, drafter, draftLength });
          expect((await generate(other, job)).tokens).toEqual(plain.tokens);
          const drafted = await generate(same, job);
          expect(drafted.tokens).toEqual(plain.tokens);
          // The target itself is never wrong: a cache out of step would show here.
          const passes = drafted.passes.filter(
            (pass) => pass.drafter === 'causal' && pass.origins.length > pass.accepted,
          );
          for (const pass of passes) expect(pass.accepted).toBe(pass.drafted);
          if (drafter === 'causal' && plain.tokens.length > 10) expect(passes.length).toBeGreaterThan(0);
        }
      }
    }
    await other.dispose();
    await same.dispose();
  });

  it('is the plain one with a repetition penalty too', async () => {
    const sampling = { repetitionPenalty: 1.3 };
    for (let i = 0; i < 10; i += 1) {
      const prompt = randomPrompt(20);
      const plain = await generate(engine, jobOf(prompt, { sampling }));
      for (const drafter of DRAFTERS) {
        expect((await generate(engine, jobOf(prompt, { drafter, sampling }))).tokens).toEqual(plain.tokens);
      }
    }
  });
});

describe('a pass', () => {
  it('adds up', async () => {
    for (const drafter of ['none', ...DRAFTERS] as const) {
      for (const temperature of [0, 1]) {
        const prompt = randomPrompt(12);
        const { passes, tokens } = await generate(
          engine,
          jobOf(prompt, { drafter, sampling: { temperature }, maxTokens: 40 }),
        );
        expect(tokens.length).toBeLessThanOrEqual(40);
        for (const pass of passes) {
          expect(pass.emitted).toBe(pass.tokens.length);
          expect(pass.origins).toHaveLength(pass.emitted);
          expect(pass.bytes).toHaveLength(pass.emitted);
          expect(pass.origins.filter((origin) => origin === 'draft')).toHaveLength(pass.accepted);
          expect(pass.accepted).toBeLessThanOrEqual(pass.drafted);
          expect(pass.drafter === 'none').toBe(pass.drafted === 0);
          const own = pass.origins.filter((origin) => origin !== 'draft');
          expect(own.length).toBeLessThanOrEqual(1);
          if (pass.drafted === 0) expect(own).toEqual(['plain']);
          else if (own.length === 1) expect(own[0]).toBe(pass.accepted === pass.drafted ? 'bonus' : 'correction');
        }
      }
    }
  });

  it('carries the bytes of its tokens', async () => {
    const { passes } = await generate(engine, jobOf(randomPrompt(8), { maxTokens: 8 }));
    for (const pass of passes) {
      pass.bytes.forEach((bytes, i) => {
        const text = TINY_VOCABULARY[pass.tokens[i]!]!.replace('▁', ' ');
        if (pass.tokens[i]! > 3) expect(Buffer.from(bytes).toString('utf8')).toBe(text);
      });
    }
  });
});

describe('sampling', () => {
  it('repeats with the seed and differs without', async () => {
    const prompt = randomPrompt(10);
    const run = async (seed: number, drafter: DrafterName) =>
      (await generate(engine, jobOf(prompt, { drafter, draftLength: 3, sampling: { temperature: 1, seed } }))).tokens;
    for (const drafter of ['none', 'ngram', 'diffusion', 'joint'] as const) {
      expect(await run(1, drafter)).toEqual(await run(1, drafter));
      expect(await run(1, drafter)).not.toEqual(await run(2, drafter));
    }
  });
});

describe('the prefix cache', () => {
  it('evaluates only what is new', async () => {
    const prompt = randomPrompt(30);
    expect((await generate(engine, jobOf(randomPrompt(5)))).prefill.prefillTokens).toBe(5);
    expect((await generate(engine, jobOf(prompt))).prefill).toMatchObject({ promptTokens: 30, prefillTokens: 30 });
    expect((await generate(engine, jobOf(prompt))).prefill.prefillTokens).toBe(1);
    expect((await generate(engine, jobOf([...prompt, 5]))).prefill.prefillTokens).toBeLessThanOrEqual(2);
    const changed = [...prompt];
    changed[20] = prompt[20] === 7 ? 8 : 7;
    expect((await generate(engine, jobOf(changed))).prefill.prefillTokens).toBe(10);
  });

  it('keeps generated tokens', async () => {
    const prompt = randomPrompt(10);
    for (const drafter of ['none', 'ngram', 'diffusion', 'joint'] as const) {
      const first = await generate(engine, jobOf(prompt, { drafter, maxTokens: 12 }));
      if (first.tokens.length < 12) continue;
      const next = await generate(engine, jobOf([...prompt, ...first.tokens.slice(0, 6)], { drafter }));
      expect(next.prefill.prefillTokens).toBe(1);
    }
  });

  it('evaluates again what the drafter has not seen', async () => {
    const prompt = randomPrompt(16);
    await generate(engine, jobOf(prompt, { drafter: 'none' }));
    expect((await generate(engine, jobOf(prompt, { drafter: 'diffusion' }))).prefill.prefillTokens).toBe(16);
    expect((await generate(engine, jobOf(prompt, { drafter: 'diffusion' }))).prefill.prefillTokens).toBe(1);
  });

  it('does not change the text', async () => {
    const prompt = randomPrompt(40);
    const fresh = await load(null);
    const wanted = (await generate(fresh, jobOf(prompt))).tokens;
    await fresh.dispose();
    await generate(engine, jobOf(prompt.slice(0, 25)));
    expect((await generate(engine, jobOf(prompt))).tokens).toEqual(wanted);
  });
});

describe('a generation ends', () => {
  it('after the tokens asked for', async () => {
    for (const drafter of ['none', ...DRAFTERS] as const) {
      for (const maxTokens of [0, 1, 2, 5]) {
        const { tokens, result } = await generate(engine, jobOf(randomPrompt(6), { drafter, maxTokens }));
        expect(tokens.length).toBeLessThanOrEqual(maxTokens);
        if (result.reason === 'maxTokens') expect(tokens).toHaveLength(maxTokens);
      }
    }
  });

  it('at the end token, which is not emitted', async () => {
    let ended = 0;
    for (let seed = 0; seed < 60; seed += 1) {
      const job = jobOf(randomPrompt(6), {
        drafter: 'diffusion',
        draftLength: 3,
        maxTokens: 60,
        sampling: { temperature: 1, seed },
      });
      const { tokens, result } = await generate(engine, job);
      expect(tokens).not.toContain(END);
      if (result.reason === 'endOfText') ended += 1;
    }
    expect(ended).toBeGreaterThan(0);
  });

  it('where the context is full, with the prompt as long as it or nearly so', async () => {
    for (const drafter of ['none', ...DRAFTERS] as const) {
      for (const length of [TINY_CONTEXT, TINY_CONTEXT - 3]) {
        const { tokens, result } = await generate(engine, jobOf(randomPrompt(length), { drafter, maxTokens: 50 }));
        if (result.reason === 'endOfText') continue;
        expect(result.reason).toBe('contextFull');
        expect(tokens).toHaveLength(TINY_CONTEXT - length + 1);
      }
    }
  });

  it('within one step when it is cancelled, at once when that was before it began', () => {
    const { EngineProbe } = testAddon();
    const drafterPath = writeTinyDrafter(folder, 'cancel', anchored);
    const probe = new EngineProbe(NATIVE_DIRECTORY, {
      targetPath: writeTinyTarget(folder),
      drafterPath,
      threads: 1,
      contextTokens: TINY_CONTEXT,
      learned: null,
      treeNodes: 0,
    });
    let cancelled = 0;
    for (const drafter of ['none', ...DRAFTERS] as const) {
      for (let pass = 0; pass <= 6; pass += 1) {
        const job = jobOf(randomPrompt(6), { drafter, maxTokens: 60, sampling: { temperature: 1, seed: pass } });
        const after = probe.passesAfterCancel(job, pass);
        expect(after).toBeLessThanOrEqual(0);
        if (after === 0) cancelled += 1;
      }
    }
    expect(cancelled).toBeGreaterThan(14);
  });

  it('when it is cancelled from outside, and the cache stays sound', async () => {
    for (let i = 0; i < 10; i += 1) {
      const drafter = DRAFTERS[i % DRAFTERS.length]!;
      const job = jobOf(randomPrompt(60), { drafter, maxTokens: 150, sampling: { temperature: 1, seed: i } });
      let passes = 0;
      await engine.generate(
        job,
        () => undefined,
        () => {
          passes += 1;
          if (passes > i) engine.cancel();
        },
      );
      const prompt = [...job.prompt.slice(0, 40), ...randomPrompt(3)];
      const fresh = await load(null);
      expect((await generate(engine, jobOf(prompt, { drafter }))).tokens).toEqual(
        (await generate(fresh, jobOf(prompt))).tokens,
      );
      await fresh.dispose();
    }
  });
});

describe('misuse gives errors', () => {
  it('for an empty, overlong or foreign prompt', async () => {
    await expect(generate(engine, jobOf([]))).rejects.toThrow(/empty/);
    await expect(generate(engine, jobOf(randomPrompt(TINY_CONTEXT + 1)))).rejects.toThrow(/context holds 256/);
    await expect(generate(engine, jobOf([TINY_VOCABULARY.length]))).rejects.toThrow(/outside the target's vocabulary/);
    await expect(generate(engine, jobOf([-1]))).rejects.toThrow(/outside the target's vocabulary/);
    // Of another model's tokenizer: a draft copied from it would be evaluated.
    for (const foreign of [TINY_VOCABULARY.length, -1]) {
      const lookup = Int32Array.of(5, foreign, 5);
      await expect(generate(engine, jobOf([5, 6], { drafter: 'ngram', lookup }))).rejects.toThrow(/lookup text holds/);
    }
  });

  it('for settings out of bounds and properties of the wrong type', async () => {
    await expect(generate(engine, jobOf([5], { sampling: { topP: 0 } }))).rejects.toThrow(/topP/);
    const broken = { ...jobOf([5]), prompt: [5] } as never;
    await expect(generate(engine, broken)).rejects.toThrow(/prompt must be an Int32Array/);
    await expect(generate(engine, { ...jobOf([5]), maxTokens: 1.5 })).rejects.toThrow(/whole number/);
    expect(() => addon.load({} as never)).toThrow(/targetPath is missing/);
  });

  it('for a second job while one runs', async () => {
    const first = generate(engine, jobOf(randomPrompt(30)));
    await expect(generate(engine, jobOf(randomPrompt(3)))).rejects.toThrow(/is running/);
    expect((await first).result.reason).not.toBe('cancelled');
  });

  it('that a callback throws', async () => {
    const failing = engine.generate(
      jobOf(randomPrompt(5)),
      () => undefined,
      () => {
        throw new Error('no more');
      },
    );
    await expect(failing).rejects.toThrow(/callback .* no more/);
    expect((await generate(engine, jobOf(randomPrompt(5)))).passes.length).toBeGreaterThan(0);
  });

  it('after dispose(), which waits for a running job and may be called twice', async () => {
    const other = await load(null);
    const running = generate(other, jobOf(randomPrompt(5), { maxTokens: 200 }));
    const closing = other.dispose();
    await expect(generate(other, jobOf([5]))).rejects.toThrow(/closed/);
    expect(() => other.tokenize('a', false, false)).toThrow(/closed/);
    await running;
    await closing;
    await other.dispose();
    other.cancel();
  });

  it('drops an engine that nobody disposed of', async () => {
    for (let i = 0; i < 5; i += 1) await load(null);
  });

  it('tries the CPU without an error', () => {
    expect(() => addon.exercise(2)).not.toThrow();
  });
});

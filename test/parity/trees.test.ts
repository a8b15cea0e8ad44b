/** Trees on the default model with our CPU kernels: the same bits as chains, and the greedy text of plain decoding. */
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LoadOptions, NativeEngine } from '../../server/engine/addon';
import {
  NATIVE_DIRECTORY,
  cpuLibrary,
  generate,
  jobOf,
  kernelsMissing,
  nativeAddon,
  testAddon,
} from '../support/native';
import { DRAFTER, TARGET, promptsOf, someHeldOut } from '../support/prompts';

const NODES = 24;
const PROMPTS = 4;
const MAX_TOKENS = 64;
const TIMEOUT_MS = 600_000;
const missing = kernelsMissing();
const load: LoadOptions = {
  targetPath: TARGET,
  drafterPath: existsSync(DRAFTER) ? DRAFTER : null,
  threads: 1,
  contextTokens: 1024,
  treeNodes: NODES,
  learned: null,
};

const skipped = missing === null ? '' : ` [SKIP: ${missing}]`;

// By kept graphs, and by llama_decode, whose cache can't move what it keeps.
describe.skipIf(missing !== null).each(['automatic', 'llama'])(`trees with our kernels (%s)${skipped}`, (runner) => {
  let engine: NativeEngine;
  beforeAll(async () => {
    process.env.SPECDIFF_RUNNER = runner;
    engine = await nativeAddon().load(load);
  }, TIMEOUT_MS);
  afterAll(async () => {
    delete process.env.SPECDIFF_RUNNER;
    await engine.dispose();
  });

  it('a kept path has the bits of a chain, and so has what follows', { timeout: TIMEOUT_MS }, () => {
    const probe = new (testAddon().EngineProbe)(NATIVE_DIRECTORY, { ...load, drafterPath: null }, cpuLibrary('auto'));
    const prompt = Int32Array.from({ length: 150 }, (_, i) => (1000 + 3701 * i) % engine.target.vocabularySize);
    const { rows, different, deadCells } = probe.treeBits(prompt, 70, 1);
    expect(rows).toBeGreaterThan(60);
    // Nearly as many as there may be: they were freed once between the passes. Kept graphs leave none.
    if (runner === 'llama') expect(deadCells).toBeGreaterThan(6 * NODES);
    else expect(deadCells).toBe(0);
    expect(different).toBe(0);
  });

  it('greedy text equals plain decoding, token for token', { timeout: TIMEOUT_MS }, async () => {
    let branched = 0;
    for (const prompt of promptsOf(engine, someHeldOut(PROMPTS), 200)) {
      const plain = await generate(engine, jobOf(prompt, { maxTokens: MAX_TOKENS }));
      for (const drafter of engine.drafter === null ? (['ngram'] as const) : (['ngram', 'diffusion'] as const)) {
        const tree = await generate(engine, jobOf(prompt, { maxTokens: MAX_TOKENS, drafter, treeNodes: NODES }));
        expect(tree.tokens, drafter).toEqual(plain.tokens);
        branched += tree.passes.filter(({ nodes, drafted }) => nodes > drafted).length;
        // The next prompt goes on in this text: dead cells may lie in what it keeps.
        const next = [...prompt, ...tree.tokens.slice(0, -3)];
        const on = await generate(engine, jobOf(next, { maxTokens: 12, drafter, treeNodes: NODES }));
        expect(on.tokens.slice(0, 3)).toEqual(plain.tokens.slice(-3));
      }
    }
    expect(branched).toBeGreaterThan(20);
  });

  // So many new tokens that a CPU's kernels for prompts take them, and dead cells before them.
  it('a long prompt after a text with trees is answered as after a plain one', { timeout: TIMEOUT_MS }, async () => {
    const plain = await nativeAddon().load(load);
    let dead = 0;
    const [first, second] = promptsOf(engine, someHeldOut(2), 150) as [number[], number[]];
    const ask = async (on: NativeEngine, prompt: number[], treeNodes: number) => {
      const { tokens, passes } = await generate(on, jobOf(prompt, { maxTokens: 48, drafter: 'ngram', treeNodes }));
      dead += passes.reduce((sum, { nodes, accepted }) => sum + nodes - accepted, 0);
      return tokens;
    };
    const answer = await ask(plain, first, 0);
    expect(await ask(engine, first, NODES)).toEqual(answer);
    expect(dead).toBeGreaterThan(0);
    const next = [...first, ...answer, ...second];
    expect(await ask(engine, next, NODES)).toEqual(await ask(plain, next, 0));
    await plain.dispose();
  });
});

/**
 * Greedy text on real prompts, with our CPU kernels: every drafter's equals plain decoding's token for token, whether the
 * prompt was in the cache or evaluated whole.
 */
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DrafterName } from '../../protocol/settings';
import type { NativeEngine } from '../../server/engine/addon';
import { generate, jobOf, kernelsMissing, nativeAddon } from '../support/native';
import { DRAFTER, TARGET, promptsOf, someHeldOut } from '../support/prompts';

const CONTEXT = 2048;
const TIMEOUT_MS = 600_000;
const DRAFTERS: readonly DrafterName[] = ['ngram', 'diffusion', 'joint', 'auto'];

const missing = kernelsMissing();

/** Two threads, for the way that they share the work, on little text: llama.cpp's spin, and crawl beside other programs. */
describe.skipIf(missing !== null).each([
  { threads: 1, count: 22, promptTokens: 300, maxTokens: 64 },
  { threads: 2, count: 3, promptTokens: 80, maxTokens: 24 },
])(
  `greedy text with our kernels, $threads thread(s)${missing === null ? '' : ` [SKIP: ${missing}]`}`,
  ({ threads, count, promptTokens, maxTokens }) => {
    const heldOut = someHeldOut(count);
    const plain: number[][] = [];
    let engine: NativeEngine;
    let prompts: number[][];

    /** First from a whole prefill, then from the prompt in the cache. */
    async function bothWays(prompt: readonly number[], drafter: DrafterName) {
      // As the product does; the second time it then drafts what it wrote the first time.
      const job = jobOf(prompt, { maxTokens, drafter, remember: drafter === 'auto' });
      const whole = await generate(engine, job);
      const cached = await generate(engine, job);
      expect(whole.prefill.prefillTokens).toBeGreaterThan(prompt.length - 10);
      expect(cached.prefill.prefillTokens).toBe(1);
      return { whole: whole.tokens, cached: cached.tokens, passes: [...whole.passes, ...cached.passes] };
    }

    beforeAll(async () => {
      engine = await nativeAddon().load({
        targetPath: TARGET,
        drafterPath: existsSync(DRAFTER) ? DRAFTER : null,
        threads,
        contextTokens: CONTEXT,
        learned: null,
        treeNodes: 0,
      });
      prompts = promptsOf(engine, heldOut, promptTokens);
      expect(prompts.length).toBeGreaterThanOrEqual(count - 1);
    }, TIMEOUT_MS);
    afterAll(() => engine.dispose());

    it('of plain decoding is the same from the cache as from a whole prefill', { timeout: TIMEOUT_MS }, async () => {
      for (const [index, prompt] of prompts.entries()) {
        const { whole, cached } = await bothWays(prompt, 'none');
        expect(cached, heldOut[index]!.id).toEqual(whole);
        plain.push(whole);
      }
      expect(plain.some((tokens) => tokens.length === maxTokens)).toBe(true);
    });

    it.each(DRAFTERS)('of %s equals plain decoding, without exception', { timeout: TIMEOUT_MS }, async (drafter) => {
      expect(drafter === 'diffusion' ? engine.drafter : 'given').not.toBeNull();
      const differing: string[] = [];
      let drafted = 0;
      for (const [index, prompt] of prompts.entries()) {
        const { whole, cached, passes } = await bothWays(prompt, drafter);
        drafted += passes.reduce((sum, pass) => sum + pass.drafted, 0);
        const wanted = plain[index]!.join(' ');
        if (whole.join(' ') !== wanted) differing.push(`${heldOut[index]!.id}, whole prefill`);
        if (cached.join(' ') !== wanted) differing.push(`${heldOut[index]!.id}, cached prefix`);
      }
      // On so few tokens `auto` may find no draft worth its time.
      if (drafter !== 'auto' || count > 3) expect(drafted).toBeGreaterThan(0);
      expect(differing).toEqual([]);
    });
  },
);

/** GPT-Neo's local layers: drafts and branches of trees see the same last tokens as plain decoding does. */
import { rmSync } from 'node:fs';
import { afterAll, expect, it } from 'vitest';
import { generate, jobOf, nativeAddon, temporaryFolder } from '../support/native';
import { seeded } from '../support/random';
import { TINY_CONTEXT, TINY_VOCABULARY, writeTinyDdit, writeTinyGptNeo } from '../support/tinyModel';

const WINDOW = 8;
const folder = temporaryFolder();
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const uniform = seeded(11);
const letters = (length: number) =>
  Array.from({ length }, () => 4 + Math.floor(uniform() * (TINY_VOCABULARY.length - 4)));
const load = (window: number, drafterPath: string | null = null) =>
  nativeAddon().load({
    ...{ targetPath: writeTinyGptNeo(folder, window), drafterPath, threads: 1 },
    ...{ contextTokens: TINY_CONTEXT, treeNodes: 6, learned: null },
  });

it('changes the text behind its window, and nothing before', async () => {
  const [local, whole] = [await load(WINDOW), await load(0)];
  const short = jobOf(letters(WINDOW - 1), { maxTokens: 2 });
  expect((await generate(local, short)).tokens).toEqual((await generate(whole, short)).tokens);
  const texts = async (engine: typeof local) => {
    const all: number[][] = [];
    for (const prompt of prompts) all.push((await generate(engine, jobOf(prompt, { maxTokens: 40 }))).tokens);
    return all;
  };
  const prompts = Array.from({ length: 4 }, () => letters(30));
  expect(await texts(local)).not.toEqual(await texts(whole));
  await Promise.all([local.dispose(), whole.dispose()]);
});

it('leaves drafted greedy text what plain text is, in chains and trees', async () => {
  const engine = await load(WINDOW, writeTinyDdit(folder, 'mdlm', { seed: 3, architecture: 'mdlm' }));
  expect(engine.drafterNote).toBeNull();
  let accepted = 0;
  for (const length of [3, 20, 61]) {
    const letter = letters(5);
    const prompt = Array.from({ length }, (_, i) => letter[i % 5]!);
    const plain = await generate(engine, jobOf(prompt, { maxTokens: 60 }));
    for (const [drafter, treeNodes] of [['mdlm', 0] as const, ['ngram', 0] as const, ['ngram', 6] as const]) {
      const drafted = await generate(engine, jobOf(prompt, { maxTokens: 60, drafter, draftLength: 4, treeNodes }));
      expect(drafted.tokens, `${drafter}, ${treeNodes} nodes, ${length} tokens`).toEqual(plain.tokens);
      accepted += drafted.passes.reduce((sum, pass) => sum + pass.accepted, 0);
    }
  }
  expect(accepted).toBeGreaterThan(0);
  await engine.dispose();
});

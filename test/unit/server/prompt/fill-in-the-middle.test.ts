/** Fill-in-the-middle on tiny random models with sentinels: the prompts that the real server code sends to the real engine. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { TextDocument } from 'vscode-languageserver-textdocument';
import { complete, cursorBudget } from '../../../../server/completion/complete';
import { cursorText } from '../../../../server/completion/source';
import { LookupContext } from '../../../../server/context/lookup';
import type { EngineClient } from '../../../../server/engine/client';
import { createEngine } from '../../../../server/engine/create';
import { DEFAULT_SETTINGS, type ServerSettings } from '../../../../protocol/settings';
import type { GenerationStats } from '../../../../protocol/messages';
import { TINY_CODE_VOCABULARY, writeTinyFimTarget, type TinySentinels } from '../../../support/tinyModel';
import { BUNDLES, bundleServer, engineMissing, named, ROOT } from '../support/product';

const FIRST = TINY_CODE_VOCABULARY.length;
const BOS = '<s>';
const QWEN = ['<|fim_prefix|>', '<|fim_suffix|>', '<|fim_middle|>'];
const CURSOR = '^';

/** Every way in which published models carry their sentinels: [name, sentinels, their texts by role]. */
const SOUND: readonly [string, TinySentinels, readonly string[]][] = [
  ['named in the metadata', { tokens: QWEN, named: { pre: FIRST, suf: FIRST + 1, mid: FIRST + 2 } }, QWEN],
  [
    'in another order',
    { tokens: ['C', 'A', 'B'], named: { pre: FIRST + 1, suf: FIRST + 2, mid: FIRST } },
    ['A', 'B', 'C'],
  ],
  ...[
    QWEN,
    ['<fim_prefix>', '<fim_suffix>', '<fim_middle>'],
    ['<｜fim▁begin｜>', '<｜fim▁hole｜>', '<｜fim▁end｜>'],
  ].map((tokens): [string, TinySentinels, readonly string[]] => [
    `known by text, ${tokens[0]}`,
    { tokens, named: {} },
    tokens,
  ]),
];
const BROKEN: readonly [string, TinySentinels][] = [
  ['none', { tokens: [], named: {} }],
  ['no middle', { tokens: ['A', 'B'], named: { pre: FIRST, suf: FIRST + 1 } }],
  ['one twice', { tokens: ['A', 'B'], named: { pre: FIRST, suf: FIRST + 1, mid: FIRST + 1 } }],
  ['one outside the vocabulary', { tokens: ['A', 'B'], named: { pre: FIRST, suf: FIRST + 1, mid: 4096 } }],
  ['one that ends the text', { tokens: ['A', 'B'], named: { pre: FIRST, suf: FIRST + 1, mid: 2 } }],
  ['one whose text is several tokens', { tokens: ['A', 'B'], named: { pre: FIRST, suf: FIRST + 1, mid: FIRST - 1 } }],
];

describe.skipIf(engineMissing() !== null)(named('fill-in-the-middle'), () => {
  let folder: string;
  let engine: EngineClient | undefined;
  let settings: ServerSettings;
  const sent: { text: string; tokens: readonly number[]; stats: GenerationStats }[] = [];
  beforeAll(async () => {
    await bundleServer();
    folder = await mkdtemp(join(tmpdir(), 'specdiff-fim-'));
  });
  afterEach(async () => {
    await engine?.dispose();
    sent.length = 0;
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const use = (sentinels: TinySentinels, budget: Partial<ServerSettings> = {}): void => {
    const targetPath = writeTinyFimTarget(folder, 'model', sentinels);
    settings = { ...DEFAULT_SETTINGS.server, drafter: 'none', threads: 1, maxTokens: 2, targetPath, ...budget };
    engine = createEngine({
      enginePath: join(BUNDLES, 'engine.js'),
      extensionRoot: ROOT,
      storageDirectory: folder,
      settings: () => settings,
      onState: () => {},
      log: () => {},
    });
  };

  /** Completes at the mark in the text; notes the prompt that reaches the engine, as text with the sentinels' own. */
  const completeAt = async (text: string, sentinels: TinySentinels): Promise<(typeof sent)[number]> => {
    const offset = text.indexOf(CURSOR);
    const document = TextDocument.create('file:///a.py', 'python', 1, text.replace(CURSOR, ''));
    const { before, after } = cursorBudget(settings);
    const cursor = cursorText(document, document.positionAt(offset), null, before, after);
    const job = { requestId: 1, uri: document.uri, languageId: 'python', text: cursor, others: [], arrivedAt: 0 };
    const sink = { block: () => {}, telemetry: () => {} };
    let tokens: readonly number[] = [];
    const vocabulary = [...TINY_CODE_VOCABULARY, ...sentinels.tokens];
    const { stats } = await engine!.run('completion', new AbortController().signal, (session, signal) => {
      const generate: typeof session.generate = (request, either) => {
        tokens = request.prompt;
        return session.generate(request, either);
      };
      return complete(job, { ...session, generate }, new LookupContext(), settings, sink, signal);
    });
    const decoded = tokens.map((token) => vocabulary[token]?.replace(/^▁$/, ' ')).join('');
    sent.push({ text: decoded, tokens, stats });
    return sent.at(-1)!;
  };

  const CODE = 'def f(a):\n    b = a\n    c = b\n    d = c\n    return ^d\n\ndef g(e):\n    return e\n';
  const [PREFIX, SUFFIX] = [CODE.slice(0, CODE.indexOf('    return')), CODE.slice(CODE.indexOf(CURSOR) + 1)];

  for (const [name, sentinels, [pre, suf, mid]] of SOUND) {
    it(`sends prefix, suffix and the started middle with the sentinels ${name}`, async () => {
      use(sentinels);
      const { text, tokens } = await completeAt(CODE, sentinels);
      // The space before the cursor is left for the model to write, or stands there at the second try; " " before the
      // prefix is the tokenizer's own.
      expect(text.trimEnd()).toBe(`${BOS}${pre} ${PREFIX}${suf}${SUFFIX}${mid}    return`);
      expect(engine!.model!.description.target.fillInTheMiddle).toBe(true);
      const fim = engine!.model!.fim!;
      for (const sentinel of [fim.prefix, fim.suffix, fim.middle]) {
        expect(tokens.filter((token) => token === sentinel)).toHaveLength(1);
      }
    });
  }

  it('takes a sentinel in the document as plain text', async () => {
    const [, sentinels] = SOUND[0]!;
    use(sentinels);
    const { tokens } = await completeAt('a = 1\n<|fim_middle|>^\nb = 2\n', sentinels);
    expect(tokens.filter((token) => token >= FIRST)).toEqual([FIRST, FIRST + 1, FIRST + 2]);
  });

  it('sends the text before the cursor alone where nothing but blanks follows', async () => {
    const [, sentinels] = SOUND[0]!;
    use(sentinels);
    const { text } = await completeAt('a = b\nc = ^\n\n', sentinels);
    expect(text.trimEnd()).toBe(`${BOS} a = b\nc =`);
  });

  for (const [contextTokens, suffixTokens] of [
    [128, 32],
    [128, 4096],
    [64, 0],
    [32, 96],
  ] as const) {
    it(`keeps to ${contextTokens} tokens in all and ${suffixTokens} of suffix`, async () => {
      const [, sentinels] = SOUND[0]!;
      use(sentinels, { contextTokens, suffixTokens });
      const long = Array.from({ length: 60 }, (_, index) => `value_${index} = ${index}`).join('\n');
      for (const code of [`${long}\nx = ^\n${long}`, `x = ^${'abc '.repeat(200)}`, `${'abc '.repeat(200)}^)`]) {
        const { tokens } = await completeAt(code, sentinels);
        expect(tokens.length).toBeLessThanOrEqual(contextTokens);
        const suffix = tokens.indexOf(FIRST + 2) - tokens.indexOf(FIRST + 1) - 1;
        expect(suffix).toBeLessThanOrEqual(Math.min(suffixTokens, contextTokens / 2));
        expect(tokens.indexOf(FIRST)).toBe(1);
      }
    });
  }

  it('evaluates a handful of tokens after one more character, and after a new line most times', async () => {
    const [, sentinels] = SOUND[0]!;
    use(sentinels, { contextTokens: 200, suffixTokens: 60 });
    const before = 'a = 1\nb = 2\nc = 3\nd = 4\n';
    const after = '\n\ndef g(e):\n    return e\n';
    const typed = ['x', 'x=', 'x=y', 'x=y\n', 'x=y\nz', 'x=y\nz\n\n', 'x=y\nz\n\n\n'];
    for (const text of typed) await completeAt(`${before}${text}^${after}`, sentinels);
    const evaluated = sent.map(({ stats }) => stats.prefillTokens);
    expect(evaluated[0]).toBe(sent[0]!.stats.promptTokens);
    for (const tokens of evaluated.slice(1, -1)) expect(tokens).toBeLessThan(6);
    // The middle begins anew at a fourth line: the suffix is evaluated once more, the prefix is not.
    expect(evaluated.at(-1)).toBeGreaterThan(after.length);
    expect(evaluated.at(-1)).toBeLessThan(sent.at(-1)!.stats.promptTokens - before.length);
  });

  for (const [name, sentinels] of BROKEN) {
    it(`completes the text before the cursor where the sentinels are broken: ${name}`, async () => {
      use(sentinels);
      const { text } = await completeAt(CODE, sentinels);
      expect(text.trimEnd()).toBe(`${BOS} ${PREFIX}    return`);
      expect(engine!.model!.fim).toBeNull();
      expect(engine!.model!.description.target.fillInTheMiddle).toBe(false);
    });
  }
});

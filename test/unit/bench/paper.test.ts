/** bench/paper: what it asks of its input, and how its figures are made of passes. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { armsOf } from '../../../bench/paper/arms';
import { breakEven, leastPassMs, line, speedups, tokensAPass } from '../../../bench/paper/break-even.mjs';
import { figuresOf, spreadOf } from '../../../bench/paper/figures';
import { evaluationFlops, passFlops, type Moment } from '../../../bench/paper/flops';
import { modelSize, type ModelSize } from '../../../bench/paper/model-size';
import { readOptions } from '../../../bench/paper/options';
import { heatMap, speedupBars } from '../../../bench/paper/plots';
import { parsePrompts, readPrompts } from '../../../bench/paper/prompts';
import { recordOf, type RunRecord } from '../../../bench/paper/record';
import { markdown, type ArmResult } from '../../../bench/paper/report';
import type { NativePass } from '../../../server/engine/addon';
import { writeGguf } from '../../support/gguf';
import { writeTinyDdit, writeTinyTarget } from '../../support/tinyModel';

const folder = mkdtempSync(path.join(os.tmpdir(), 'specdiff-paper-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const file = (name: string): string => {
  writeFileSync(path.join(folder, name), '');
  return name;
};
const given = ['--target', file('t.gguf'), '--drafter', file('d.gguf'), '--data', file('p.jsonl')];
const options = (...more: string[]) => readOptions([...given, ...more], folder);

function pass(settings: Partial<NativePass> & { tokens: Int32Array }): NativePass {
  return {
    drafter: 'none',
    drafted: 0,
    accepted: 0,
    nodes: 0,
    rows: 1,
    emitted: settings.tokens.length,
    draftMs: 0,
    verifyMs: 10,
    reason: 'wanted',
    expectedTokens: 1,
    origins: [],
    bytes: [],
    ...settings,
  };
}
const tokens = (...ids: number[]) => Int32Array.from(ids);

describe('options', () => {
  it('takes lists in order and without repetitions, and files from where the user stands', () => {
    const read = options('--gamma', '16,4,4', '--steps', '2,1', '--temperature', '0,0.7');
    expect(read).toMatchObject({ lengths: [4, 16], steps: [1, 2], temperatures: [0, 0.7], causal: null, rule: 'auto' });
    expect(read.target).toBe(path.join(folder, 't.gguf'));
  });

  it.each([
    [['--gamma', '0'], /--gamma 0 can't be/],
    [['--gamma', '4,'], /--gamma {2}can't be/],
    [['--steps', '1.5'], /--steps 1.5 can't be/],
    [['--temperature', 'warm'], /--temperature warm can't be/],
    [['--rule', 'paper'], /no exact rule/],
    [['--backend', 'gpu'], /--backend gpu is unknown/],
    [['--causal', 'none.gguf'], /no file .*none\.gguf; give --causal/],
  ])('refuses %j', (more, message) => {
    expect(() => options(...more)).toThrow(message);
  });

  it('says what is missing', () => {
    expect(() => readOptions(given.slice(2), folder)).toThrow(/--target FILE is missing/);
  });
});

describe('prompts', () => {
  const text = (...entries: object[]) => entries.map((entry) => `${JSON.stringify(entry)}\n`).join('');
  const prompt = (id: string, task: string) => ({ id, task, text: `text of ${id}`, licence: 'CC0-1.0' });

  it('takes the first of each task, in turn', () => {
    const data = path.join(folder, 'some.jsonl');
    const all = [prompt('a', 'open-text'), prompt('b', 'open-text'), prompt('c', 'open-text')];
    writeFileSync(data, text(...all, prompt('d', 'summarization')));
    expect(readPrompts(data, 2).map(({ id }) => id)).toEqual(['d', 'a', 'b']);
  });

  it.each(['{', '[]', JSON.stringify(prompt('a', 'translation')), JSON.stringify({ id: 'a', task: 'open-text' })])(
    'names the line that is no prompt: %s',
    (line) => {
      expect(() => parsePrompts(`${text(prompt('a', 'open-text'))}${line}\n`, 'x.jsonl')).toThrow(/^x\.jsonl:2 is no/);
    },
  );

  it('may have a suffix, which is a text', () => {
    const middle = { ...prompt('a', 'open-text'), suffix: 'end' };
    expect(parsePrompts(text(middle, prompt('b', 'open-text')), 'x').map(({ suffix }) => suffix)).toEqual(['end', '']);
    expect(() => parsePrompts(text({ ...middle, suffix: 3 }), 'x.jsonl')).toThrow(/^x\.jsonl:1 is no prompt/);
  });

  it('have a suffix each in the file for infilling', () => {
    const prompts = readPrompts(path.join(import.meta.dirname, '../../../bench/prompts/infill.jsonl'), 100);
    expect(prompts.length).toBeGreaterThanOrEqual(20);
    expect(prompts.every(({ suffix }) => suffix.length > 50)).toBe(true);
  });

  it('refuses a file without prompts', () => {
    expect(() => parsePrompts('\n', 'x.jsonl')).toThrow(/has no prompts/);
  });

  it('finds prompts of both tasks, each with package and licence, in the committed file', () => {
    const prompts = readPrompts(path.join(import.meta.dirname, '../../../bench/prompts/paper.jsonl'), 100);
    for (const task of ['summarization', 'open-text']) {
      expect(prompts.filter((each) => each.task === task).length).toBeGreaterThanOrEqual(12);
    }
    expect(new Set(prompts.map(({ id }) => id)).size).toBe(prompts.length);
  });
});

describe('arms', () => {
  const mdlm = { kind: 'mdlm', maxDraftLength: 64 } as const;
  const names = (more: string[], drafter: Parameters<typeof armsOf>[1]) =>
    armsOf(options(...more), drafter).map(({ name }) => name);

  it('are vanilla, standard and γ × T, with the published rule where it differs from the exact ones', () => {
    const more = ['--causal', file('c.gguf'), '--gamma', '4,32', '--steps', '1,2', '--temperature', '0,1'];
    expect(names(more, mdlm)).toEqual([
      ...['vanilla t0', 'standard γ4 t0', 'SpecDiff γ4 T1 t0', 'SpecDiff γ4 T2 t0'],
      ...['SpecDiff γ32 T1 t0', 'SpecDiff γ32 T2 t0'],
      ...['vanilla t1', 'standard γ4 t1', 'SpecDiff γ4 T1 t1', 'SpecDiff γ4 T2 t1', 'SpecDiff γ4 T2 t1 paper'],
      ...['SpecDiff γ32 T1 t1', 'SpecDiff γ32 T2 t1', 'SpecDiff γ32 T2 t1 paper'],
    ]);
  });

  it('draft with the suffix too where that is asked for and the drafter can', () => {
    const more = ['--suffix', '--gamma', '4', '--steps', '2', '--temperature', '1'];
    const arms = armsOf(options(...more), mdlm);
    expect(arms.map(({ name, suffix }) => `${name}: ${suffix}`)).toEqual([
      'vanilla t1: false',
      ...['SpecDiff γ4 T2 t1: false', 'SpecDiff γ4 T2 t1 suffix: true', 'SpecDiff γ4 T2 t1 paper: false'],
    ]);
    expect(names(more, { kind: 'diffusion', maxDraftLength: 7 })).toEqual(['vanilla t1', 'SpecDiff γ4 T1 t1']);
  });

  it('leave out what a drafter cannot do', () => {
    const more = ['--gamma', '2,4,16', '--steps', '1,4', '--temperature', '0'];
    const block = { kind: 'diffusion', maxDraftLength: 7 } as const;
    expect(names(more, block)).toEqual(['vanilla t0', 'SpecDiff γ2 T1 t0', 'SpecDiff γ4 T1 t0']);
    expect(names(more, mdlm)).not.toContain('SpecDiff γ2 T4 t0');
    expect(() => names(['--gamma', '8'], block)).toThrow(/at most 7 tokens/);
  });
});

describe('model sizes', () => {
  it('count the matrices of a causal model, its head and its attention', () => {
    const size = modelSize(writeTinyTarget(folder));
    expect(size).toMatchObject({ layers: 3, attentionWidth: 32, readerWeights: 0 });
    expect(size.headWeights).toBe(31 * 32);
    // Three layers: q and output of 32 × 32, k and v, and three matrices of 32 × 64.
    expect(size.bodyWeights).toBeGreaterThanOrEqual(3 * (2 * 32 * 32 + 3 * 32 * 64));
    expect(size.parameters).toBeGreaterThan(size.bodyWeights + size.headWeights);
  });

  it('leave out what only the noise level goes through', () => {
    const size = modelSize(writeTinyDdit(folder, 'sized', { seed: 1, architecture: 'mdlm' }));
    expect(size.bodyWeights % (32 * 32)).toBe(0);
    expect(size.bodyWeights).toBe(size.layers * (4 * 32 * 32 + 2 * 32 * 64));
  });

  it('are refused where the file is none', () => {
    writeFileSync(path.join(folder, 'text.gguf'), 'some text that is long enough to be read');
    expect(() => modelSize(path.join(folder, 'text.gguf'))).toThrow(/not a GGUF model file/);
    expect(() => modelSize(path.join(folder, file('empty.gguf')))).toThrow(/ends within its head/);
    const bare = path.join(folder, 'bare.gguf');
    writeGguf(bare, { 'general.architecture': { type: 'string', value: 'llama' } }, {});
    expect(() => modelSize(bare)).toThrow(/lacks llama\.attention\.head_count/);
  });
});

const size = (more: Partial<ModelSize> = {}): ModelSize => ({
  ...{ bodyWeights: 100, headWeights: 10, readerWeights: 0, layers: 2, attentionWidth: 8, parameters: 120 },
  ...more,
});

describe('operations', () => {
  const moment: Moment = { length: 50, promptTokens: 40, unread: 3, wholly: false };
  const drafter = size({ bodyWeights: 7, headWeights: 5, layers: 1, attentionWidth: 2 });
  const sizes = { target: size({ layers: 0 }), drafter };
  const verification = 2 * (100 + 10) * 5; // four drafted tokens and the one before them

  it('are two a weight and row, and four a layer, width and attended token', () => {
    const evaluated = { rows: 3, outputs: 1, attended: 11 };
    expect(evaluationFlops(size(), evaluated)).toBe(2 * (300 + 10) + 4 * 2 * 8 * 3 * 11);
  });

  it('of a plain pass are those of one row', () => {
    expect(passFlops(pass({ tokens: tokens(1) }), moment, { target: size({ layers: 0 }), drafter: null })).toBe(220);
  });

  it('of a denoised draft count its steps, and the text read with the first', () => {
    const drafted = { tokens: tokens(1), drafter: 'mdlm', drafted: 4, denoisingSteps: [2, 1, 2, 1] } as const;
    const rows = 4 * 2 + 3;
    const draft = 2 * (7 * rows + 5 * 8) + 4 * 2 * rows * (50 + 4);
    expect(passFlops(pass(drafted), moment, sizes)).toBe(verification + draft);
    // Slots known from the last draft cost nothing by themselves.
    const hot = pass({ ...drafted, denoisingSteps: [0, 2, 2, 2] });
    expect(passFlops(hot, moment, sizes)).toBeLessThan(verification + draft);
  });

  it('of a causal draft are one row a token, and one more after a wholly accepted draft', () => {
    const drafted = pass({ tokens: tokens(1), drafter: 'causal', drafted: 4 });
    const rows = (count: number) => 2 * (7 * count + 5 * 4) + 4 * 2 * count * 54;
    expect(passFlops(drafted, moment, sizes)).toBe(verification + rows(4));
    expect(passFlops(drafted, { ...moment, wholly: true }, sizes)).toBe(verification + rows(5));
  });

  it("of a block on the target's rows include reading them, and the target's head where it has none", () => {
    const drafted = pass({ tokens: tokens(1), drafter: 'diffusion', drafted: 4 });
    const block = { target: sizes.target, drafter: { ...drafter, headWeights: 0, readerWeights: 6 } };
    const draft = 2 * (7 + 10) * 4 + 4 * 2 * 4 * 54 + 2 * 6 * 3;
    expect(passFlops(drafted, moment, block)).toBe(verification + draft);
  });
});

const prompt = { id: 'p', task: 'open-text', tokens: 40 } as const;
const sizes = { target: size(), drafter: size() };
/** The prefill's token, a draft in which the prompt is read, another one, a plain pass. */
const PASSES = [
  pass({ tokens: tokens(1), verifyMs: 0 }),
  pass({ tokens: tokens(2), drafter: 'mdlm', drafted: 4, accepted: 0, draftMs: 90 }),
  pass({ tokens: tokens(3, 4, 5), drafter: 'mdlm', drafted: 4, accepted: 2, draftMs: 5, verifyMs: 20 }),
  pass({ tokens: tokens(6), verifyMs: 10 }),
];

describe('records and figures', () => {
  const record = recordOf(prompt, PASSES, sizes, [1, 2, 3, 4, 5, 6]);

  it('count all for τ and acceptance, and for speed neither the prefill nor the first draft', () => {
    expect(record).toMatchObject({ tokens: 6, passes: 4, drafts: 2, drafted: 8, accepted: 2, firstDraftMs: 90 });
    expect(record.decoding).toMatchObject({ tokens: 4, passes: 2, drafts: 1, draftMs: 5, verifyMs: 30 });
    expect(record.tested).toEqual([2, 1, 1]);
    expect(record.passed).toEqual([1, 1, 0]);
    expect(record.changed).toBe(false);
    expect(recordOf(prompt, PASSES, sizes, [1, 2, 3, 4, 5, 7]).changed).toBe(true);
    expect(recordOf(prompt, PASSES, sizes, null).changed).toBeNull();
  });

  const plain = recordOf(
    prompt,
    [pass({ tokens: tokens(1), verifyMs: 0 }), ...[2, 3].map((id) => pass({ tokens: tokens(id), verifyMs: 20 }))],
    { target: size(), drafter: null },
    null,
  );

  it('compare each prompt with vanilla decoding of the same', () => {
    const figures = figuresOf([record], [plain]);
    expect(figures).toMatchObject({ prompts: 1, tau: 1.5, acceptedPerDraft: 1, draftAcceptance: 0.25, draftMs: 5 });
    expect(figures.acceptanceByPlace).toEqual([0.5, 1, 0]);
    expect(figures.tokensPerSecond).toBeCloseTo(4000 / 35, 2);
    expect(figures.draftShare).toBeCloseTo(5 / 35, 2);
    expect(figures.speedup?.median).toBeCloseTo(4000 / 35 / 50, 2);
    expect(figures.flopsToVanilla).toBeGreaterThan(1);
    expect(figures.changed).toBe(0);
    expect(figuresOf([plain], [plain])).toMatchObject({ tau: 1, draftMs: null, acceptedPerDraft: null, changed: null });
  });

  it('have no speed-up where a prompt was not decoded', () => {
    const ended: RunRecord = recordOf(prompt, PASSES.slice(0, 1), sizes, null);
    expect(figuresOf([record], [ended]).speedup).toBeNull();
    expect(figuresOf([ended], [plain]).tokensPerSecond).toBe(0);
  });

  it('give the middle and the quartiles of a spread', () => {
    expect(spreadOf([4, 1, 3, 2])).toEqual({ median: 2.5, lower: 1.75, upper: 3.25, least: 1, most: 4 });
    expect(spreadOf([])).toBeNull();
  });

  it('are shown as tables and pictures', () => {
    const [vanilla, ...others] = armsOf(options('--gamma', '4,8', '--steps', '1,2', '--temperature', '1'), {
      kind: 'mdlm',
      maxDraftLength: 64,
    });
    const of = (runs: RunRecord[]) => ({ all: figuresOf(runs, [plain]), summarization: null });
    const results: ArmResult[] = [
      { arm: vanilla!, figures: { ...of([plain]), 'open-text': null } },
      ...others.map((arm) => ({ arm, figures: { ...of([record]), 'open-text': figuresOf([record], [plain]) } })),
    ];
    const text = markdown(results);
    expect(text).toContain('### Both tasks, temperature 1');
    expect(text).toContain('| SpecDiff γ8 T2 t1 paper | 114.3 | 2.29 (2.29–2.29) | 1.00 | 1.50 | 25 % |');
    expect(text).not.toContain('Summarization');
    const map = heatMap(results);
    expect(map.match(/>1\.50</g)).toHaveLength(6);
    expect(map).toContain('temperature 1, published rule');
    const bars = speedupBars(results);
    expect(bars.match(/<rect x/g)).toHaveLength(6);
    for (const picture of [map, bars]) {
      expect(picture).not.toMatch(/NaN|Infinity|undefined/);
      expect(picture).toMatch(/^<svg .*<\/svg>\n$/s);
    }
  });
});

describe('break-even', () => {
  it('is where τ equals the passes that a draft and its verification cost', () => {
    expect(tokensAPass(0.5, 2)).toBe(1.75);
    expect(tokensAPass(1, 3)).toBe(4);
    const ms = leastPassMs(4, 2, 10)!;
    expect(4 * ms).toBeCloseTo(2 * ms + 10);
    expect(leastPassMs(2, 2, 10)).toBeNull();
    const [at0, slope] = line([
      [1, 5],
      [2, 7],
      [4, 11],
    ]);
    expect(at0).toBeCloseTo(3);
    expect(slope).toBeCloseTo(2);
  });

  it('takes the draft length that needs the smallest target', () => {
    const times = (one: number) =>
      Object.fromEntries(
        (
          [
            [1, 1],
            [4, 1.5],
            [8, 2],
            [16, 3],
          ] as const
        ).map(([n, c]) => [n, { least: one * c }]),
      );
    const targets = [1, 2, 3].map((billions) => ({ name: `${billions}b`, billions, times: times(20 * billions) }));
    const drafters = [{ name: 'd', times: Object.fromEntries([3, 7, 15].map((slots) => [slots, { least: 10 }])) }];
    const found = breakEven({ targets, drafters });
    const best = (steps: number, acceptance: number) =>
      found.find((each) => each.steps === steps && each.acceptance === acceptance)?.best;
    // τ(0.5, 3) = 1.875 is above 1.5, longer drafts stay below their costs.
    expect(best(1, 0.5)).toMatchObject({ slots: 3, passMs: 10 / 0.375 });
    expect(best(1, 0.5)?.billions).toBeCloseTo(10 / 0.375 / 20);
    expect(best(1, 0.9)?.slots).toBe(15);
    // Three slots can't take four steps.
    expect(best(4, 0.5)).toBeNull();
    const all = speedups({ targets, drafters });
    const fast = all.find((each) => each.target === '3b' && each.steps === 1 && each.acceptance === 0.9);
    // What pays on the smallest target is not what is fastest on a large one.
    expect(fast?.slots).toBe(7);
    expect(fast?.speedup).toBeCloseTo(tokensAPass(0.9, 7) / (2 + 10 / 60));
  });
});

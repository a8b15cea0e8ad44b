import { mkdtempSync, readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { GenerationStats, VerificationStats } from '../../../protocol/messages';
import { readPeers } from '../../../bench/engine/peer-option';
import { machine } from '../../../bench/machine';
import { barPlot, linePlot } from '../../../bench/engine/plot';
import { RecordFile, type SampleRecord, type Session } from '../../../bench/engine/records';
import { markdown, plots, summarizeRecords } from '../../../bench/engine/report';
import { SampleRecorder } from '../../../bench/engine/run';
import { differs, figures, speedups, type Sample } from '../../../bench/engine/sample';
import { quantile, spreadOf } from '../../../bench/engine/statistics';

const SAMPLE: Sample = {
  text: 'text',
  tokens: 11,
  verifications: 6,
  decodedTokens: 10,
  decodingMs: 100,
  draftMs: 10,
  verifyMs: 85,
  drafted: 8,
  accepted: 5,
  tested: [4, 3],
  passed: [3, 2],
};

describe('statistics', () => {
  it('takes quantiles between neighbours, whatever the order', () => {
    expect(quantile([4, 1, 3, 2], 0.5)).toBe(2.5);
    expect(quantile([4, 1, 3, 2, 5], 0.25)).toBe(2);
    expect(quantile([7], 0.9)).toBe(7);
    expect(quantile([], 0.5)).toBeNaN();
    expect(spreadOf([1, 2, 3, 4, 5])).toEqual({ median: 3, low: 2, high: 4, count: 5 });
    expect(spreadOf([])).toBeNull();
  });
  it('adds samples up before it divides', () => {
    const other = {
      ...SAMPLE,
      tokens: 4,
      verifications: 4,
      decodedTokens: 30,
      decodingMs: 100,
      tested: [4],
      passed: [0],
    };
    expect(figures([SAMPLE, other])).toEqual({
      prompts: 2,
      tokens: 15,
      tau: 1.5,
      draftAcceptance: 0.625,
      acceptanceByPosition: [0.375, 0.667],
      tokensPerSecond: 200,
      draftShare: 0.1,
      verifyShare: 0.85,
    });
    expect(figures([SAMPLE, { ...other, draftMs: null }])).toMatchObject({ draftShare: null });
  });
  it('leaves pairs without decoding out of the speed-ups', () => {
    const plain = { ...SAMPLE, decodingMs: 200 };
    const pairs = [
      { arm: SAMPLE, plain },
      { arm: { ...SAMPLE, decodedTokens: 0, decodingMs: 0 }, plain },
    ];
    expect(speedups(pairs)).toEqual({ median: 2, low: 2, high: 2, count: 1 });
  });
  it('compares texts as far as both go', () => {
    expect(differs('abc', 'ab')).toBe(false);
    expect(differs('axc', 'ab')).toBe(true);
  });
});

describe('a recorded generation', () => {
  it('counts the passes up to the kept text only', () => {
    const recorder = new SampleRecorder();
    const heard = (drafted: number, accepted: number, verifyMs: number): void => {
      const pass: VerificationStats = {
        ...{
          drafter: 'ngram',
          drafted,
          accepted,
          nodes: drafted,
          rows: drafted + 1,
          emitted: accepted + 1,
          draftMs: 0,
          verifyMs,
        },
        ...{ reason: 'best', expectedTokens: 1 },
      };
      recorder.sink.telemetry({ event: 'verified', requestId: 1, pass, tokens: [] });
    };
    recorder.sink.telemetry({ event: 'prefilled', requestId: 1, promptTokens: 1, prefillTokens: 1, prefillMs: 1 });
    heard(0, 0, 0);
    heard(3, 1, 5);
    heard(2, 2, 5);
    heard(7, 0, 5); // behind the kept text
    const stats = { tokens: 6, verifications: 3, tokensPerSecond: 500, draftMs: 0, verifyMs: 10 } as GenerationStats;
    expect(recorder.sample({ text: 'kept', stats })).toMatchObject({
      ...{ tokens: 6, decodedTokens: 5, drafted: 5, accepted: 3, tested: [2, 2], passed: [2, 1] },
    });
  });
});

describe('a report', () => {
  const at = { set: 'code', temperature: 0, stopRules: false, round: 0 } as const;
  const record = (arm: string, prompt: string, change: Partial<Sample>): SampleRecord => ({
    ...{ ...at, prompt, arm },
    sample: { ...SAMPLE, ...change },
    residentBytes: arm === 'none' ? 2 ** 20 * (prompt === 'a' ? 300 : 299) : null,
  });
  const records = [
    record('none', 'a', { decodingMs: 200 }),
    record('auto', 'a', { decodingMs: 100 }),
    record('llama', 'a', { decodingMs: 400 }),
    record('llama fast', 'a', { decodingMs: 200, text: 'text that goes on' }),
    record('none', 'b', { decodingMs: 200 }),
    record('auto', 'b', { decodingMs: 50, text: 'other' }),
    record('llama', 'b', { decodingMs: 400 }),
    record('llama fast', 'b', { decodingMs: 400, text: 'else' }),
  ];
  const peers = readPeers(['llama=server', 'llama fast=server:--fast']);
  const arms = [
    { name: 'none', plain: 'none', peer: false },
    { name: 'auto', plain: 'none', peer: false },
    ...peers.map(({ name, plain }) => ({ name, plain, peer: true })),
  ];

  it('compares each arm with its own plain decoding, and auto with a program’s best mode', () => {
    const [setting, ...rest] = summarizeRecords(records, arms, peers);
    expect(rest).toEqual([]);
    expect(setting!.arms.auto!.code).toMatchObject({
      ...{ speedup: 2.667, changed: ['b'], speedupSpread: { median: 3, low: 2.5, high: 3.5 } },
    });
    expect(setting!.arms['llama fast']!.code).toMatchObject({ speedup: 1.333, changed: ['b'] });
    expect(setting!.againstPeers.filter(({ set }) => set === 'code')).toEqual([
      { program: 'llama', set: 'code', best: 'llama fast', ratio: 4 },
    ]);
  });
  it('counts no changed texts with a temperature', () => {
    const sampled = records.map((each) => ({ ...each, temperature: 1 }));
    expect(summarizeRecords(sampled, arms, peers)[0]!.arms.auto!.code!.changed).toBeNull();
  });
  it('is written as a table, and as plots that hold every arm', () => {
    const settings = summarizeRecords(records, arms, peers);
    const text = markdown(settings);
    expect(text).toContain('### Temperature 0, stop rules off');
    expect(text).toMatch(/\| none \|.*\| 300 \| 0 \|/);
    expect(text).toMatch(/\| auto \| 133 \| 2\.67 \(2\.50–3\.50\) \| 2\.67 \| .* \| – \| 1 \|/);
    expect(text).toContain('- auto ÷ llama fast (the fastest of llama’s modes), code: 4.00'.replace('’', "'"));
    const svgs = plots(settings);
    expect(Object.keys(svgs)).toEqual(['t0-raw-speedup', 't0-raw-acceptance']);
    for (const { name } of arms) expect(svgs['t0-raw-speedup']).toContain(`>${name}<`);
  });
});

describe('a plot', () => {
  it('draws higher bars for higher values and escapes names', () => {
    const bar = (value: number) => ({ value, low: value, high: value });
    const svg = barPlot('a < b & c', ['x', 'y'], [{ name: 'code', bars: [bar(1), bar(2)] }]);
    expect(svg).toContain('a &lt; b &amp; c');
    const heights = [...svg.matchAll(/<rect [^>]*height="([\d.]+)" fill="#(?:4477aa|ee6677)"/g)].map(([, h]) =>
      Number(h),
    );
    expect(heights[1]! / heights[0]!).toBeCloseTo(2, 1);
  });
  it('draws a line through every position', () => {
    const svg = linePlot('acceptance', [{ name: 'x', arm: 0, values: [0.9, 0.5, 0.2] }]);
    expect(/points="([^"]*)"/.exec(svg)?.[1]?.split(' ')).toHaveLength(3);
  });
});

describe('the file of samples', () => {
  it('goes on only when asked to, and skips cases that every arm has', () => {
    const file = path.join(mkdtempSync(path.join(os.tmpdir(), 'specdiff-records-')), 'full.jsonl');
    const wanted = { set: 'edit', prompt: 'p', temperature: 0, stopRules: true, round: 0 } as const;
    const session = (busy: string): Session => ({ machine: machine(), busy: [busy] });
    const record = { ...wanted, arm: 'none', sample: SAMPLE, residentBytes: null };
    const first = new RecordFile(file, false, session('first'));
    first.add([record]);
    first.add([{ ...record, arm: 'auto' }]);
    const again = new RecordFile(file, true, session('again'));
    again.add([{ ...record, arm: 'auto', sample: { ...SAMPLE, text: 'second try' } }]);
    expect(again.records.map(({ sample }) => sample.text)).toEqual(['text', 'second try']);
    const read = new RecordFile(file, true, session('took no sample'));
    expect(read.records).toEqual(again.records);
    expect(read.sessions.map(({ busy }) => busy)).toEqual([['first'], ['again']]);
    expect(again.holds(wanted, ['none', 'auto'])).toBe(true);
    expect(again.holds(wanted, ['none', 'auto', 'peer'])).toBe(false);
    expect(again.holds({ ...wanted, stopRules: false }, ['none'])).toBe(false);
    expect(new RecordFile(file, false, session('')).records).toEqual([]);
    expect(() => readFileSync(file)).toThrow();
  });
});

import { describe, expect, it } from 'vitest';
import type { VerificationStats } from '../../../protocol/messages';
import { GenerationRecorder } from '../../../server/generation/recorder';

const CONTEXT = { firstBlockMs: 5, plainPassMs: 10, target: 't', drafter: 'ngram', backend: 'b' } as const;

function recorded(): GenerationRecorder {
  const recorder = new GenerationRecorder();
  const pass = (drafted: number, accepted: number, texts: readonly string[]): void => {
    const stats: VerificationStats = {
      drafter: 'ngram',
      drafted,
      accepted,
      nodes: drafted,
      rows: drafted + 1,
      emitted: texts.length,
      draftMs: 1,
      verifyMs: 9,
      reason: 'best',
      expectedTokens: 1,
    };
    const tokens = texts.map((text) => ({ text, origin: 'draft' as const }));
    recorder.verified({ event: 'verified', id: 1, pass: stats, tokens });
  };
  pass(0, 0, [' return']);
  pass(4, 2, [' a', ' +', ' b']);
  pass(4, 3, ['\n', '\n', 'def', ' g']);
  return recorder;
}

describe('GenerationRecorder', () => {
  it('counts the whole text', () => {
    const stats = recorded().stats(null, CONTEXT);
    expect(stats).toMatchObject({ tokens: 8, verifications: 3, draftAcceptance: 5 / 8, draftMs: 3, verifyMs: 27 });
    expect(stats.tau).toBeCloseTo(8 / 3);
    expect(stats.tokensPerSecond).toBeCloseTo(8000 / 30);
    expect(stats.speedup).toBeCloseTo(80 / 30);
  });
  it('leaves the token that came with the prefill out of the speed', () => {
    const recorder = new GenerationRecorder();
    const first: VerificationStats = {
      ...{ drafter: 'none', drafted: 0, accepted: 0, nodes: 0, rows: 1, emitted: 1, draftMs: 0, verifyMs: 0 },
      ...{ reason: 'nothing', expectedTokens: 1 },
    };
    recorder.verified({ event: 'verified', id: 1, pass: first, tokens: [{ text: 'a', origin: 'plain' }] });
    expect(recorder.stats(null, CONTEXT)).toMatchObject({ tokens: 1, tau: 1, tokensPerSecond: 0, speedup: null });
    recorder.verified({
      event: 'verified',
      id: 1,
      pass: { ...first, verifyMs: 10 },
      tokens: [{ text: 'b', origin: 'plain' }],
    });
    expect(recorder.stats(null, CONTEXT)).toMatchObject({
      tokens: 2,
      verifications: 2,
      tokensPerSecond: 100,
      speedup: 1,
    });
  });
  it('counts what was kept, whatever was cut at both ends', () => {
    const stats = recorded().stats('return a + b', CONTEXT);
    expect(stats).toMatchObject({ tokens: 4, verifications: 2, draftAcceptance: 0.5, tau: 2, draftMs: 2 });
    expect(recorded().stats('return a + b\r\n', CONTEXT).tokens).toBe(5);
  });
  it('counts nothing for nothing', () => {
    expect(recorded().stats('', CONTEXT)).toMatchObject({
      tokens: 0,
      verifications: 0,
      tau: 0,
      draftAcceptance: null,
      tokensPerSecond: 0,
      speedup: null,
    });
  });
});

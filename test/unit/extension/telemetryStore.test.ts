import { describe, expect, it } from 'vitest';
import { TelemetryStore } from '../../../extension/telemetry/store';
import type { GenerationStats, TelemetryParams, TokenOrigin, VerificationStats } from '../../../protocol/messages';

function pass(drafted: number, accepted: number, draftMs: number, verifyMs: number): VerificationStats {
  const drafter = drafted === 0 ? 'none' : 'diffusion';
  const plan = { reason: 'best', expectedTokens: 1 } as const;
  return {
    drafter,
    drafted,
    accepted,
    nodes: drafted,
    rows: drafted + 1,
    emitted: accepted + 1,
    draftMs,
    verifyMs,
    ...plan,
  };
}

function verified(requestId: number, stats: VerificationStats): TelemetryParams {
  const own: TokenOrigin = stats.drafted === 0 ? 'plain' : stats.accepted === stats.drafted ? 'bonus' : 'correction';
  const tokens = Array.from({ length: stats.emitted }, (_, index) => ({
    text: `t${index} `,
    origin: index < stats.accepted ? ('draft' as const) : own,
  }));
  return { event: 'verified', requestId, pass: stats, tokens };
}

function statistics(tokens: number, tokensPerSecond: number, speedup: number | null): GenerationStats {
  return {
    tokens,
    tokensPerSecond,
    speedup,
    verifications: 1,
    tau: tokens,
    draftAcceptance: null,
    promptTokens: 10,
    prefillTokens: 4,
    prefillMs: 7,
    firstBlockMs: 12,
    draftMs: 1,
    verifyMs: 1,
    target: 'target',
    drafter: 'diffusion',
    backend: 'CPU',
  };
}

const PASSES = [
  [pass(7, 3, 2, 10), pass(7, 7, 2, 11)],
  [pass(0, 0, 0, 8), pass(5, 0, 1, 9)],
] as const;

function filled(): TelemetryStore {
  const store = new TelemetryStore();
  for (const [index, passes] of PASSES.entries()) {
    const requestId = index + 1;
    store.add({ event: 'started', requestId, kind: index === 0 ? 'completion' : 'summary' });
    store.add({ event: 'prefilled', requestId, promptTokens: 10, prefillTokens: 4, prefillMs: 7 });
    for (const stats of passes) store.add(verified(requestId, stats));
    store.add({ event: 'finished', requestId, outcome: 'done', stats: statistics(12, 480, null) });
  }
  return store;
}

describe('the telemetry store', () => {
  it('has nothing at first', () => {
    const { current, session, suggestions } = new TelemetryStore().snapshot();
    expect(current).toBeNull();
    expect(session).toMatchObject({
      passes: 0,
      tau: null,
      draftAcceptance: null,
      tokensPerSecond: null,
      speedup: null,
    });
    expect(suggestions).toEqual({ shown: 0, accepted: 0 });
  });

  it('shows sums over the last generation’s passes', () => {
    const { current } = filled().snapshot();
    expect(current).toMatchObject({ requestId: 2, kind: 'summary', outcome: 'done', prefillTokens: 4 });
    expect(current?.passes).toEqual(PASSES[1]);
    expect(current?.tokens.map(({ origin }) => origin)).toEqual(['plain', 'correction']);
    expect(current?.figures).toMatchObject({ passes: 2, tokens: 2, drafted: 5, accepted: 0, tau: 1, prefillMs: 7 });
    expect(current?.figures.tokensPerSecond).toBeCloseTo(2000 / 18);
  });

  it('adds up the session over all passes', () => {
    const { session } = filled().snapshot();
    const all = PASSES.flat();
    const sum = (read: (stats: VerificationStats) => number): number => all.reduce((total, p) => total + read(p), 0);
    expect(session).toMatchObject({
      generations: 2,
      passes: all.length,
      tokens: sum((p) => p.emitted),
      drafted: sum((p) => p.drafted),
      accepted: sum((p) => p.accepted),
      draftMs: sum((p) => p.draftMs),
      verifyMs: sum((p) => p.verifyMs),
      prefillMs: 14,
    });
    expect(session.tau).toBe(14 / 4);
    expect(session.draftAcceptance).toBe(10 / 19);
    expect(session.tokensPerSecond).toBeCloseTo((14 * 1000) / 43);
  });

  it('compares with plain decoding once that is measured, the passes before it included', () => {
    const store = new TelemetryStore();
    store.add({ event: 'started', requestId: 1, kind: 'completion' });
    store.add(verified(1, pass(7, 3, 2, 18)));
    expect(store.snapshot().current?.figures.speedup).toBeNull();
    // 200 tokens/s at twice plain decoding's speed: plain takes 10 ms a token, 40 ms for these four.
    store.add({ event: 'finished', requestId: 1, outcome: 'done', stats: statistics(4, 200, 2) });
    expect(store.snapshot().current?.figures).toMatchObject({ plainTokensPerSecond: 100, speedup: 2 });
    store.add({ event: 'started', requestId: 2, kind: 'completion' });
    store.add(verified(2, pass(0, 0, 0, 10)));
    expect(store.snapshot().current?.figures.speedup).toBe(1);
    expect(store.snapshot().session.speedup).toBeCloseTo(50 / 30);
  });

  it('keeps the statistics of the last generation that wrote something', () => {
    const store = filled();
    expect(store.lastStats?.tokens).toBe(12);
    store.add({ event: 'started', requestId: 3, kind: 'completion' });
    store.add({ event: 'finished', requestId: 3, outcome: 'refused', stats: null });
    expect(store.lastStats?.tokens).toBe(12);
    expect(store.snapshot().current?.outcome).toBe('refused');
  });

  it('counts each suggestion once, and accepted ones only among those shown', () => {
    const store = new TelemetryStore();
    for (const requestId of [1, 1, 2]) store.countShown(requestId);
    for (const requestId of [2, 2, 9]) store.countAccepted(requestId);
    expect(store.snapshot().suggestions).toEqual({ shown: 2, accepted: 1 });
  });

  it('starts anew on reset and ignores what belongs to before it', () => {
    const store = filled();
    store.reset();
    store.add(verified(2, pass(7, 3, 2, 10)));
    expect(store.snapshot()).toEqual(new TelemetryStore().snapshot());
  });

  it('gives snapshots that later events leave alone', () => {
    const store = filled();
    const before = store.snapshot();
    const copy = structuredClone(before);
    store.add(verified(2, pass(7, 3, 2, 10)));
    expect(before).toEqual(copy);
  });

  it('exports figures and origins, never text', () => {
    const text = JSON.stringify(filled().exported());
    expect(text).toContain('"origins":["plain","correction"]');
    expect(text).not.toContain('t0 ');
  });
});

import { describe, expect, it } from 'vitest';
import { describeExit, isIllegalInstruction } from '../../../../server/engine/crash';
import { CrashLimit } from '../../../../server/engine/crash-limit';
import { engineContextTokens } from '../../../../server/engine/engine-context';
import { TokenDecoder } from '../../../../server/engine/token-decoder';
import { readServerSettings } from '../../../../server/settings';
import { DEFAULT_SETTINGS } from '../../../../protocol/settings';

describe('TokenDecoder', () => {
  it('carries a split character with the token that completes it', () => {
    const decoder = new TokenDecoder();
    const bytes = Buffer.from('é👍x');
    const pieces = [bytes.subarray(0, 1), bytes.subarray(1, 3), bytes.subarray(3, 5), bytes.subarray(5)];
    expect(pieces.map((piece) => decoder.push(piece))).toEqual(['', 'é', '', '👍x']);
  });
  it('keeps a byte order mark', () => {
    expect(new TokenDecoder().push(Buffer.from('\uFEFFa'))).toBe('\uFEFFa');
  });
});

describe('CrashLimit', () => {
  it('is reached by three crashes within two minutes, until it is reset', () => {
    let now = 0;
    const limit = new CrashLimit(3, 120_000, () => now);
    for (const time of [0, 100_000, 130_000]) {
      now = time;
      limit.add();
    }
    expect(limit.reached).toBe(false);
    now = 140_000;
    limit.add();
    expect(limit.reached).toBe(true);
    now = 1e9;
    expect(limit.reached).toBe(true);
    limit.reset();
    expect(limit.reached).toBe(false);
  });
});

describe('the end of a process', () => {
  it('is told in words, and as a trap where it was one', () => {
    expect(describeExit(null, 'SIGKILL')).toBe('signal SIGKILL');
    expect(describeExit(3, null)).toBe('exit code 3');
    expect(isIllegalInstruction(null, 'SIGILL')).toBe(true);
    expect(isIllegalInstruction(0xc000001d, null)).toBe(true);
    expect(isIllegalInstruction(-1073741795, null)).toBe(true);
    expect(isIllegalInstruction(1, null)).toBe(false);
  });
});

describe('engineContextTokens', () => {
  it('covers the larger of both budgets, in steps', () => {
    expect(engineContextTokens(DEFAULT_SETTINGS.server)).toBe(2048);
    const large = { ...DEFAULT_SETTINGS.server, contextTokens: 4000, maxTokens: 100 };
    const tokens = engineContextTokens(large);
    expect(tokens).toBeGreaterThan(4100);
    expect(tokens % 256).toBe(0);
  });
});

describe('readServerSettings', () => {
  it('takes what is right and the default for the rest', () => {
    expect(readServerSettings(undefined)).toEqual(DEFAULT_SETTINGS.server);
    expect(readServerSettings(DEFAULT_SETTINGS.server)).toEqual(DEFAULT_SETTINGS.server);
    const odd = readServerSettings({
      maxTokens: -5,
      threads: 2.5,
      drafter: 'magic',
      backend: 'cpu',
      kernels: 'stock',
      sampling: { topP: 2, seed: 9 },
    });
    expect(odd).toEqual({
      ...DEFAULT_SETTINGS.server,
      backend: 'cpu',
      kernels: 'stock',
      sampling: { ...DEFAULT_SETTINGS.server.sampling, seed: 9 },
    });
  });
});

/** The thread governor, with times and waits given by hand; the waits themselves, beside processes that never rest. */
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { describe, expect, it } from 'vitest';
import { type TestGovernor, testAddon } from '../support/native';

const { CoreWaits, ThreadGovernor } = testAddon();

/** Passes of 8 ms one after the other from `from` on; the time after the last. */
function passes(governor: TestGovernor, count: number, waitedMs: number, from: number): number {
  for (let i = 1; i <= count; i++) governor.observe(8, waitedMs, from + 8 * i);
  return from + 8 * count;
}

describe('ThreadGovernor', () => {
  it('keeps every thread on a quiet machine, rare and short waits included', () => {
    const governor = new ThreadGovernor(4);
    let now = 0;
    for (let i = 0; i < 50; i++) now = passes(governor, 1, i % 10 === 0 ? 2 : 0.1, now);
    expect(governor.threads()).toBe(4);
  });

  it('gives threads up one by one while cores are taken away, never the last', () => {
    const governor = new ThreadGovernor(3);
    let now = passes(governor, 4, 3, 0);
    expect(governor.threads()).toBe(2);
    now = passes(governor, 4, 3, now);
    expect(governor.threads()).toBe(1);
    passes(governor, 20, 3, now);
    expect(governor.threads()).toBe(1);
  });

  it('takes them back when it is quiet again, and waits longer each time that fails', () => {
    const governor = new ThreadGovernor(2);
    let now = passes(governor, 4, 3, 0);
    const waits: number[] = [];
    for (let attempt = 0; attempt < 3; attempt++) {
      expect(governor.threads()).toBe(1);
      const begun = now;
      while (governor.threads() === 1) now = passes(governor, 1, 0, now);
      waits.push(now - begun);
      now = passes(governor, 4, 3, now);
    }
    expect(waits[1]).toBeGreaterThan(waits[0]!);
    expect(waits[2]).toBeGreaterThan(waits[1]!);
    while (governor.threads() === 1) now = passes(governor, 1, 0, now);
    passes(governor, 50, 0, now);
    expect(governor.threads()).toBe(2);
  });

  it('has nothing to choose with one thread', () => {
    const governor = new ThreadGovernor(1);
    passes(governor, 10, 8, 0);
    expect(governor.threads()).toBe(1);
  });
});

describe.skipIf(process.platform !== 'linux')('CoreWaits', () => {
  it('grow while others want every core', () => {
    const waits = new CoreWaits();
    const others = Array.from({ length: 2 * availableParallelism() }, () =>
      spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' }),
    );
    try {
      waits.longestMs();
      // Until it has been seen: processes take their time to start.
      let waited = 0;
      const end = performance.now() + 20_000;
      while (waited < 5 && performance.now() < end) waited += waits.longestMs();
      expect(waited).toBeGreaterThanOrEqual(5);
    } finally {
      for (const other of others) other.kill('SIGKILL');
    }
  });
});

import { describe, expect, it } from 'vitest';
import type { TelemetryParams } from '../../../../protocol/messages';
import { CompletionAhead } from '../../../../server/completion/ahead';
import type { CursorText } from '../../../../server/completion/source';
import type { GenerationResult, GenerationSink } from '../../../../server/generation/generate';

const URI = 'file:///work/a.ts';
const at = (before: string, after = 'AFTER', whole = false): CursorText => ({
  before,
  after,
  line: 1,
  whole,
  crlf: false,
});
const RESULT: GenerationResult = {
  text: 'one two',
  reason: 'maxTokens',
  stop: null,
  stats: {
    tokens: 2,
    verifications: 1,
    tau: 2,
    draftAcceptance: null,
    tokensPerSecond: 1,
    speedup: null,
    promptTokens: 3,
    prefillTokens: 3,
    prefillMs: 1,
    firstBlockMs: 123,
    draftMs: 0,
    verifyMs: 0,
    target: 't',
    drafter: 'auto',
    backend: 'CPU',
  },
};

/** A completion that the test writes by hand. */
function begun() {
  const run = { sink: undefined as GenerationSink | undefined, signal: undefined as AbortSignal | undefined };
  let resolve = (_: GenerationResult): void => {};
  let reject = (_: Error): void => {};
  const ahead = new CompletionAhead({ uri: URI, text: at('some text') }, (sink, signal) => {
    run.sink = sink;
    run.signal = signal;
    return new Promise((good, bad) => {
      resolve = good;
      reject = bad;
    });
  });
  return {
    ahead,
    sink: run.sink!,
    signal: run.signal!,
    resolve: () => resolve(RESULT),
    reject: (e: Error) => reject(e),
  };
}

function listener() {
  const blocks: string[] = [];
  const events: TelemetryParams[] = [];
  const sink: GenerationSink = { block: (text) => blocks.push(text), telemetry: (event) => events.push(event) };
  return { blocks, events, sink };
}

const PREFILLED: TelemetryParams = {
  event: 'prefilled',
  requestId: 0,
  promptTokens: 3,
  prefillTokens: 3,
  prefillMs: 1,
};

describe('a completion begun ahead', () => {
  it('is for one place, however its text before the cursor is cut', () => {
    const { ahead } = begun();
    expect(ahead.isAt({ uri: URI, text: at('some text') })).toBe(true);
    expect(ahead.isAt({ uri: URI, text: at('text') })).toBe(true);
    expect(ahead.isAt({ uri: URI, text: at('and some text') })).toBe(true);
    expect(ahead.isAt({ uri: URI, text: at('some texts') })).toBe(false);
    expect(ahead.isAt({ uri: URI, text: at('some text', 'ELSE') })).toBe(false);
    expect(ahead.isAt({ uri: 'file:///work/b.ts', text: at('some text') })).toBe(false);
    // The document begins there: what stood before is gone.
    expect(ahead.isAt({ uri: URI, text: at('some text', 'AFTER', true) })).toBe(true);
    expect(ahead.isAt({ uri: URI, text: at('text', 'AFTER', true) })).toBe(false);
    expect(ahead.isAt({ uri: URI, text: at('', 'AFTER', true) })).toBe(false);
  });

  it('tells who takes it what it has written, and goes on as theirs', async () => {
    const { ahead, sink, resolve } = begun();
    sink.telemetry(PREFILLED);
    sink.block('one');
    const { blocks, events, sink: output } = listener();
    const arrivedAt = performance.now();
    const taken = ahead.take(7, output, arrivedAt, new AbortController().signal);
    expect(blocks).toEqual(['one']);
    sink.block(' two');
    resolve();
    const result = await taken;
    expect(blocks.join('')).toBe(result.text);
    expect(events).toEqual([{ ...PREFILLED, requestId: 7 }]);
    // The first block was there before anybody asked.
    expect(result.stats.firstBlockMs).toBe(0);
    expect({ ...result.stats, firstBlockMs: 123 }).toEqual(RESULT.stats);
  });

  it('counts the wait for its first block from the request on', async () => {
    const { ahead, sink, resolve } = begun();
    const arrivedAt = performance.now() - 1000;
    const taken = ahead.take(7, listener().sink, arrivedAt, new AbortController().signal);
    sink.block('one two');
    resolve();
    expect((await taken).stats.firstBlockMs).toBeGreaterThanOrEqual(1000);
  });

  it('ends when it is dropped, or when the request that took it is cancelled', async () => {
    const { ahead, signal } = begun();
    ahead.drop();
    expect(signal.aborted).toBe(true);

    const other = begun();
    const request = new AbortController();
    const taken = other.ahead.take(7, listener().sink, 0, request.signal);
    expect(other.signal.aborted).toBe(false);
    request.abort();
    expect(other.signal.aborted).toBe(true);
    other.resolve();
    await taken;

    const late = begun();
    const cancelled = late.ahead.take(7, listener().sink, 0, AbortSignal.abort());
    expect(late.signal.aborted).toBe(true);
    late.resolve();
    await cancelled;
  });

  it('fails for who has taken it, and is not to be had once it has failed', async () => {
    const { ahead, reject } = begun();
    const taken = ahead.take(7, listener().sink, 0, new AbortController().signal);
    reject(new Error('no memory'));
    await expect(taken).rejects.toThrow('no memory');

    const other = begun();
    expect(other.ahead.isAt({ uri: URI, text: at('some text') })).toBe(true);
    other.reject(new Error('the engine crashed'));
    await new Promise(setImmediate);
    expect(other.ahead.isAt({ uri: URI, text: at('some text') })).toBe(false);
  });
});

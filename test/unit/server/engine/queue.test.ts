import { describe, expect, it } from 'vitest';
import { JobQueue } from '../../../../server/engine/queue';

const never = new AbortController().signal;
/** A job that runs until it is let go or its signal fires. */
function gated() {
  let open = (): void => {};
  const gate = new Promise<void>((resolve) => (open = resolve));
  const job = async (signal: AbortSignal): Promise<string> => {
    await Promise.race([gate, new Promise((resolve) => signal.addEventListener('abort', resolve))]);
    return signal.aborted ? 'aborted' : 'done';
  };
  return { open, job };
}

describe('JobQueue', () => {
  it('runs one job at a time, in order', async () => {
    const queue = new JobQueue();
    const order: string[] = [];
    const first = gated();
    const one = queue.run('summary', never, async (signal) => {
      order.push('one starts');
      await first.job(signal);
      order.push('one ends');
    });
    const two = queue.run('summary', never, () => Promise.resolve(void order.push('two')));
    first.open();
    await Promise.all([one, two]);
    expect(order).toEqual(['one starts', 'one ends', 'two']);
  });

  it('lets a newer completion supersede a running and a waiting one', async () => {
    const queue = new JobQueue();
    const running = queue.run('completion', never, gated().job);
    await Promise.resolve();
    const waiting = queue.run('completion', never, () => Promise.resolve('waiting ran'));
    const newest = queue.run('completion', never, () => Promise.resolve('newest ran'));
    await expect(waiting).rejects.toThrow(/cancelled/);
    expect(await newest).toBe('newest ran');
    expect(await running.catch(() => 'aborted')).toBe('aborted');
  });

  it('never supersedes a summary; the completion waits', async () => {
    const queue = new JobQueue();
    const summary = gated();
    const running = queue.run('summary', never, summary.job);
    const completion = queue.run('completion', never, () => Promise.resolve('after'));
    summary.open();
    expect(await running).toBe('done');
    expect(await completion).toBe('after');
  });

  it('goes on after a failed and after a cancelled job', async () => {
    const queue = new JobQueue();
    await expect(queue.run('summary', never, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    const blocker = gated();
    const running = queue.run('summary', never, blocker.job);
    const caller = new AbortController();
    const cancelled = queue.run('summary', caller.signal, () => Promise.resolve('ran'));
    const last = queue.run('summary', never, () => Promise.resolve('last'));
    caller.abort();
    await expect(cancelled).rejects.toThrow(/cancelled/);
    blocker.open();
    expect([await running, await last]).toEqual(['done', 'last']);
  });
});

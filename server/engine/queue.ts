/**
 * One decode at a time. A newer completion supersedes the completion before it, running or waiting;
 * a summary is never superseded, and a completion waits behind a running one.
 */
import type { GenerationKind } from '../../protocol/messages';
import { abortable, abortError } from '../abort';

export class JobQueue {
  private tail: Promise<void> = Promise.resolve();
  private newestCompletion: AbortController | null = null;

  /** Runs `job` when its turn comes; its signal fires on the caller's signal and when a newer completion supersedes it. */
  async run<T>(kind: GenerationKind, signal: AbortSignal, job: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const superseded = new AbortController();
    if (kind === 'completion') {
      this.newestCompletion?.abort();
      this.newestCompletion = superseded;
    }
    const either = AbortSignal.any([signal, superseded.signal]);
    const before = this.tail;
    let finished = (): void => {};
    const done = new Promise<void>((resolve) => (finished = resolve));
    this.tail = before.then(() => done);
    try {
      await abortable(before, either);
      if (either.aborted) throw abortError();
      return await job(either);
    } finally {
      finished();
      if (this.newestCompletion === superseded) this.newestCompletion = null;
    }
  }
}

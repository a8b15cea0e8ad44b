/** The native program that decodes many answers at once (native/training/answers.cpp). */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

export interface BatchRequest {
  readonly prompt: readonly number[];
  readonly maxTokens: number;
  readonly temperature: number;
  readonly seed: number;
  readonly onToken: (token: number, bytes: Uint8Array) => void;
}

export type BatchEnd = 'endOfText' | 'maxTokens' | 'stopped';

/** Whatever writes an answer's tokens. */
export interface AnswerSource {
  /** Calls `onToken` until an end token, the limit or `signal`. */
  answer(request: BatchRequest, signal: AbortSignal): Promise<BatchEnd>;
}

interface Running {
  readonly onToken: BatchRequest['onToken'];
  readonly end: (reason: BatchEnd) => void;
  readonly fail: (error: Error) => void;
}

export class BatchProgram implements AnswerSource {
  private readonly child: ChildProcessByStdio<Writable, Readable, null>;
  private readonly running = new Map<string, Running>();
  private next = 0;
  private closing = false;

  constructor(program: string, args: readonly string[]) {
    this.child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    createInterface({ input: this.child.stdout }).on('line', (line) => this.read(line));
    this.child.stdin.on('error', () => {}); // its end is told by `close`
    this.child.on('error', (error) => this.fail(new Error(`${program} can't be started: ${error.message}`)));
    this.child.on('close', (code) => {
      if (!this.closing || code !== 0) this.fail(new Error(`${program} ended with code ${code ?? 'none'}.`));
    });
  }

  answer({ prompt, maxTokens, temperature, seed, onToken }: BatchRequest, signal: AbortSignal): Promise<BatchEnd> {
    const id = String(this.next++);
    return new Promise((resolve, reject) => {
      this.running.set(id, { onToken, end: resolve, fail: reject });
      this.child.stdin.write(`answer ${id} ${maxTokens} ${temperature} ${seed} ${prompt.join(' ')}\n`);
      signal.addEventListener('abort', () => {
        if (!this.running.delete(id)) return;
        this.child.stdin.write(`stop ${id}\n`);
        resolve('stopped');
      });
    });
  }

  close(): void {
    this.closing = true;
    this.child.stdin.end();
  }

  private read(line: string): void {
    const [verb, id = '', value = '', hex = ''] = line.split(' ');
    const running = this.running.get(id);
    if (running === undefined) return; // stopped meanwhile
    if (verb === 'token') return running.onToken(Number(value), Buffer.from(hex, 'hex'));
    this.running.delete(id);
    running.end(value === 'endOfText' ? 'endOfText' : 'maxTokens');
  }

  private fail(error: Error): void {
    for (const running of this.running.values()) running.fail(error);
    this.running.clear();
  }
}

/** Parent's side of one engine process: questions paired with answers, and what its end means for those that wait. */
import type { ChildProcess } from 'node:child_process';
import type {
  EngineCommand,
  EngineDescription,
  EngineEvent,
  EngineLoadOptions,
  ChatMessage,
  FimTokens,
  FinishReason,
  GenerateOptions,
} from '../../protocol/messages';
import { abortError } from '../abort';
import { describeExit, EngineCrashError, isIllegalInstruction } from './crash';
import { spawnEngine } from './spawn';

type Event<Name extends EngineEvent['event']> = Extract<EngineEvent, { event: Name }>;
export type LogLevel = Event<'log'>['level'];
export type PrefilledEvent = Event<'prefilled'>;
export type VerifiedEvent = Event<'verified'>;
type AnswerEvent = Exclude<EngineEvent, { event: 'log' | 'learned' }>;

export interface LoadedModel {
  readonly description: EngineDescription;
  readonly fim: FimTokens | null;
}

export interface EngineJob {
  readonly prompt: readonly number[];
  readonly lookup: readonly number[];
  readonly suffix: readonly number[];
  readonly options: GenerateOptions;
  readonly onPrefilled: (event: PrefilledEvent) => void;
  readonly onVerified: (event: VerifiedEvent) => void;
}

export interface GeneratedResult {
  readonly reason: FinishReason;
  /** Time of a one-row pass, measured; null while not. */
  readonly plainPassMs: number | null;
}

/** A load can't be ended in its middle, and a device may hang: what takes longer to close is killed. */
const CLOSE_MS = 1000;

interface Waiting {
  readonly onEvent: (event: AnswerEvent) => void;
  readonly fail: (error: Error) => void;
}

export class EngineChild {
  /** Resolves when the process has ended, whatever the reason. */
  readonly ended: Promise<void>;
  private readonly child: ChildProcess;
  private readonly waiting = new Map<number, Waiting>();
  private nextId = 1;
  private failure: Error | null = null;

  constructor(
    enginePath: string,
    private readonly log: (level: LogLevel, text: string) => void,
    /** Told once, before the waiting jobs fail, when the process ends without having been closed. */
    private readonly onCrash: (error: EngineCrashError) => void = () => {},
    private readonly onLearned: (state: string) => void = () => {},
  ) {
    this.child = spawnEngine(enginePath);
    this.child.on('message', (message: unknown) => {
      if (isEngineEvent(message)) this.receive(message);
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding('utf8');
      stream?.on('data', (text: string) => this.log('info', text.trimEnd()));
    }
    this.ended = new Promise((resolve) => {
      this.child.once('error', (error) => {
        this.crash(new EngineCrashError(`The engine process could not be started: ${error.message}.`, false));
        resolve();
      });
      this.child.once('exit', (code, signal) => {
        this.crash(
          new EngineCrashError(
            `The engine process ended unexpectedly (${describeExit(code, signal)}); the next request starts a fresh one.`,
            isIllegalInstruction(code, signal),
          ),
        );
        resolve();
      });
    });
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  get alive(): boolean {
    return this.failure === null;
  }

  load(options: EngineLoadOptions): Promise<LoadedModel> {
    return this.ask('loaded', (id) => ({ command: 'load', id, options })).then(({ description, fim }) => ({
      description,
      fim,
    }));
  }

  tokenize(
    texts: readonly string[],
    options: { addBos: boolean; parseSpecial: boolean },
  ): Promise<readonly (readonly number[])[]> {
    return this.ask('tokenized', (id) => ({ command: 'tokenize', id, texts, ...options })).then(({ tokens }) => tokens);
  }

  template(messages: readonly ChatMessage[]): Promise<string> {
    return this.ask('templated', (id) => ({ command: 'template', id, messages })).then(({ text }) => text);
  }

  /** Settles when the engine is free again; an abort ends it within one decoding step, with reason `cancelled`. */
  generate(job: EngineJob, signal: AbortSignal): Promise<GeneratedResult> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(abortError());
        return;
      }
      const id = this.nextId++;
      const onAbort = (): void => this.send({ command: 'cancel', id });
      const settle = (): void => {
        this.waiting.delete(id);
        signal.removeEventListener('abort', onAbort);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.waiting.set(id, {
        onEvent: (event) => {
          if (event.event === 'prefilled') job.onPrefilled(event);
          else if (event.event === 'verified') job.onVerified(event);
          else if (event.event === 'generated') {
            settle();
            resolve({ reason: event.reason, plainPassMs: event.plainPassMs });
          } else if (event.event === 'failed') {
            settle();
            reject(new Error(event.message));
          }
        },
        fail: (error) => {
          settle();
          reject(error);
        },
      });
      const { prompt, lookup, suffix, options } = job;
      this.send({ command: 'generate', id, prompt, lookup, suffix, options });
    });
  }

  /** Ends the process, by force where it does not end by itself in time; jobs still running are cancelled. */
  async close(): Promise<void> {
    this.end(abortError());
    // A failed send means that the process is ending.
    if (this.child.connected) this.child.send({ command: 'close' } satisfies EngineCommand, () => {});
    const late = setTimeout(() => this.child.kill('SIGKILL'), CLOSE_MS);
    await this.ended;
    clearTimeout(late);
  }

  private ask<Name extends AnswerEvent['event']>(
    name: Name,
    command: (id: number) => EngineCommand,
  ): Promise<Event<Name>> {
    return new Promise((resolve, reject) => {
      const id = this.nextId++;
      this.waiting.set(id, {
        onEvent: (event) => {
          this.waiting.delete(id);
          if (isEvent(event, name)) resolve(event);
          else reject(new Error(event.event === 'failed' ? event.message : `Unexpected answer ${event.event}.`));
        },
        fail: reject,
      });
      this.send(command(id));
    });
  }

  private send(command: EngineCommand): void {
    if (this.failure !== null) {
      if ('id' in command) this.waiting.get(command.id)?.fail(this.failure);
      return;
    }
    // A failed send means that the process is ending: 'exit' tells the waiting ones.
    this.child.send(command, () => {});
  }

  private receive(event: EngineEvent): void {
    if (event.event === 'log') this.log(event.level, event.text);
    else if (event.event === 'learned') this.onLearned(event.state);
    else this.waiting.get(event.id)?.onEvent(event);
  }

  private crash(error: EngineCrashError): void {
    if (this.failure !== null) return; // closed by us
    this.failure = error;
    this.onCrash(error);
    this.end(error);
  }

  private end(error: Error): void {
    this.failure ??= error;
    const waiting = [...this.waiting.values()];
    this.waiting.clear();
    for (const { fail } of waiting) fail(this.failure);
  }
}

function isEngineEvent(value: unknown): value is EngineEvent {
  return typeof value === 'object' && value !== null && 'event' in value;
}

function isEvent<Name extends EngineEvent['event']>(event: EngineEvent, name: Name): event is Event<Name> {
  return event.event === name;
}

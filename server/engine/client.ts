/**
 * The server's one engine: starts its process at the first request, hands it jobs one at a time, notices its crashes,
 * and ends it after idle minutes.
 */
import type { EngineLoadOptions, EngineState, GenerationKind } from '../../protocol/messages';
import type { KernelChoice } from '../../protocol/settings';
import { abortable, abortError, isAbortError } from '../abort';
import { NoModelError } from '../models/resolve';
import { EngineChild, type LoadedModel, type LogLevel } from './child';
import { EngineCrashError } from './crash';
import { CrashLimit } from './crash-limit';
import type { LearnedStore } from './learned';
import type { CpuChoice, CpuLibraryPicker } from './probe';
import { JobQueue } from './queue';

/** What to load by the present settings; the CPU library is picked when the process starts. */
export interface WantedEngine extends Omit<EngineLoadOptions, keyof CpuChoice | 'learned'> {
  readonly kernels: KernelChoice;
  /** Changes where one of the files does. */
  readonly stamps: string;
}

export interface EngineClientOptions {
  readonly enginePath: string;
  /** Rejects with NoModelError. */
  readonly loadOptions: () => Promise<WantedEngine>;
  readonly cpuLibraries: CpuLibraryPicker;
  readonly learned: LearnedStore;
  /** 0 keeps the engine. */
  readonly idleMinutes: () => number;
  readonly onState: (state: EngineState) => void;
  /** The engine's process id while one runs. */
  readonly onProcess?: (pid: number | null) => void;
  readonly onCrash?: (message: string) => void;
  readonly log: (level: LogLevel, text: string) => void;
}

/** A loaded engine, for the length of one job. */
export interface EngineSession extends LoadedModel, Pick<EngineChild, 'tokenize' | 'template' | 'generate'> {}

type Job<T> = (engine: EngineSession, signal: AbortSignal) => Promise<T>;

interface Running {
  readonly key: string;
  readonly child: EngineChild;
  readonly nativeDirectory: string;
  readonly cpuLibrary: string | null;
  readonly model: Promise<LoadedModel>;
}

const CRASHED = 'The SpecDiff engine ended unexpectedly; the next completion starts a fresh one.';
const CRASHED_OFTEN =
  'The SpecDiff engine ended unexpectedly several times in a row and is left off; look into the log, then restart it with "SpecDiff: Restart".';

export class EngineClient {
  private readonly queue = new JobQueue();
  private readonly crashes = new CrashLimit();
  private readonly disposal = new AbortController();
  private running: Running | null = null;
  private starting: Promise<Running> | null = null;
  /** A load that failed is not tried again on every keystroke. */
  private refused: { readonly key: string; readonly error: Error } | null = null;
  private loadedModel: LoadedModel | null = null;
  /** The settings want a model that is not there, whatever is loaded. */
  private missing: NoModelError | null = null;
  /** How often that was looked for: only the newest answer counts. */
  private looks = 0;
  private idleTimer: NodeJS.Timeout | null = null;
  private jobs = 0;

  constructor(private readonly options: EngineClientOptions) {}

  /** What is loaded now. */
  get model(): LoadedModel | null {
    return this.loadedModel;
  }

  /** Runs a job with a loaded engine when its turn comes. Rejects with an AbortError when cancelled or superseded. */
  run<T>(kind: GenerationKind, signal: AbortSignal, job: Job<T>): Promise<T> {
    this.stopIdling();
    this.jobs++;
    return this.queue
      .run(kind, AbortSignal.any([signal, this.disposal.signal]), (either) => this.runWithEngine(either, job))
      .finally(() => {
        this.jobs--;
        if (this.jobs === 0) this.startIdling();
      });
  }

  /** Ends the process and forgets its failures; the next request starts a fresh one. */
  async restart(): Promise<void> {
    this.forgetFailures();
    await this.stop();
    await this.lookForModel();
  }

  /** To be told when settings changed: what is loaded is compared with them at the next request. */
  settingsChanged(): void {
    this.forgetFailures();
    void this.lookForModel();
    if (this.jobs === 0) this.startIdling();
  }

  /** Tells whether there is a model to load, without loading it: the user need not type to learn that there is none. */
  async lookForModel(): Promise<void> {
    const look = ++this.looks;
    const missing = await this.options.loadOptions().then(
      () => null,
      // What else is wrong with the settings is told by the request that needs them.
      (error: unknown) => (error instanceof NoModelError ? error : null),
    );
    if (look !== this.looks) return;
    this.missing = missing;
    if (this.starting !== null) return;
    if (this.running === null) this.tell({ state: 'idle' });
    else if (missing !== null || (this.loadedModel !== null && this.jobs === 0)) this.tell({ state: 'ready' });
  }

  async dispose(): Promise<void> {
    this.disposal.abort();
    this.stopIdling();
    await this.starting?.catch(() => {});
    await this.stop();
  }

  /** A state, or in place of rest that the model is missing. */
  private tell(state: EngineState): void {
    const rests = state.state === 'idle' || state.state === 'ready';
    this.options.onState(rests && this.missing !== null ? { state: 'noModel', message: this.missing.message } : state);
  }

  private async runWithEngine<T>(signal: AbortSignal, job: Job<T>): Promise<T> {
    // Each further round has ruled out one more CPU library, so this ends.
    for (;;) {
      const progress = { emitted: false };
      let running: Running | null = null;
      let launched = false;
      try {
        running = await abortable(this.start(), signal);
        const model = await abortable(running.model, signal);
        launched = true;
        this.tell({ state: 'generating' });
        const result = await job(session(running.child, model, progress, signal), signal);
        this.tell({ state: 'ready' });
        return result;
      } catch (error) {
        if (
          error instanceof EngineCrashError &&
          error.illegalInstruction &&
          running !== null &&
          running.cpuLibrary !== null
        ) {
          await this.options.cpuLibraries.markBad(running.nativeDirectory, running.cpuLibrary);
          // Text that was shown already must not come a second time.
          if (!progress.emitted && !signal.aborted) continue;
        }
        // What was cancelled may fail otherwise before it ends; nobody waits for it.
        this.tellState(signal.aborted ? abortError() : error, launched);
        throw error;
      }
    }
  }

  /** The state that a failed or cancelled job leaves behind. `launched`: it had the engine that the settings want. */
  private tellState(error: unknown, launched: boolean): void {
    if (error instanceof NoModelError) {
      this.missing = error;
      this.tell({ state: 'idle' });
    } else if (this.loadedModel !== null && (launched || isAbortError(error))) this.tell({ state: 'ready' });
    else if (this.crashes.reached) this.tell({ state: 'error', message: CRASHED_OFTEN });
    else if (isAbortError(error)) {
      if (this.running === null && this.starting === null) this.tell({ state: 'idle' });
    } else if (error instanceof EngineCrashError) this.tell({ state: 'idle' });
    else this.tell({ state: 'error', message: messageOf(error) });
  }

  /** The running process, or a fresh one where there is none or the settings want another model. */
  private async start(): Promise<Running> {
    // A job that was cancelled meanwhile leaves its start to the next one.
    if (this.starting !== null) await this.starting.catch(() => {});
    if (this.crashes.reached) throw new Error(CRASHED_OFTEN);
    this.starting ??= this.launch().finally(() => (this.starting = null));
    return this.starting;
  }

  private async launch(): Promise<Running> {
    const look = ++this.looks;
    const { kernels, stamps, ...wanted } = await this.options.loadOptions();
    if (look === this.looks) this.missing = null;
    const key = JSON.stringify({ kernels, stamps, ...wanted });
    if (this.running?.key === key) return this.running;
    if (this.refused?.key === key) throw this.refused.error;
    await this.stop();
    this.tell({ state: 'starting' });
    const { nativeDirectory } = wanted;
    const choice = await this.options.cpuLibraries.pick(nativeDirectory, kernels, this.disposal.signal);
    const { learned } = this.options;
    const learnedKey = learned.key({ ...wanted, ...choice, stamps });
    const recalled = await learned.recall(learnedKey);
    // A process begun now would outlive the client.
    if (this.disposal.signal.aborted) throw abortError();
    const child = new EngineChild(
      this.options.enginePath,
      this.options.log,
      (error) => this.crashed(running, error),
      (state) => void learned.remember(learnedKey, state),
    );
    const model = child.load({ ...wanted, ...choice, learned: recalled });
    const running: Running = { key, child, nativeDirectory, cpuLibrary: choice.cpuLibrary, model };
    this.running = running;
    this.options.onProcess?.(child.pid ?? null);
    model.then(
      (loaded) => {
        if (this.running !== running) return;
        this.loadedModel = loaded;
        this.tell({ state: 'ready' });
        if (this.jobs === 0) this.startIdling();
      },
      (error: unknown) => {
        if (this.running !== running) return;
        this.refused = { key, error: error instanceof Error ? error : new Error(String(error)) };
        // A process without a model holds memory for no use.
        void this.stop();
        this.tell({ state: 'error', message: messageOf(error) });
      },
    );
    return running;
  }

  private crashed(running: Running, error: EngineCrashError): void {
    this.options.log('error', error.message);
    if (this.running !== running) return;
    this.running = null;
    this.loadedModel = null;
    this.options.onProcess?.(null);
    // A trapping CPU library is replaced by the next one, and the job tried again.
    if (error.illegalInstruction && running.cpuLibrary !== null) return;
    this.crashes.add();
    const message = this.crashes.reached ? CRASHED_OFTEN : CRASHED;
    this.tell(this.crashes.reached ? { state: 'error', message } : { state: 'idle' });
    this.options.onCrash?.(message);
  }

  private forgetFailures(): void {
    this.crashes.reset();
    this.refused = null;
  }

  private async stop(): Promise<void> {
    const running = this.running;
    this.running = null;
    this.loadedModel = null;
    if (running === null) return;
    await running.child.close();
    this.options.onProcess?.(this.processId());
  }

  private processId(): number | null {
    return this.running?.child.pid ?? null;
  }

  private startIdling(): void {
    this.stopIdling();
    const minutes = this.options.idleMinutes();
    if (minutes <= 0 || this.running === null) return;
    this.idleTimer = setTimeout(() => {
      this.options.log('info', `No request for ${minutes} minutes: the engine gives its memory back.`);
      void this.stop().then(() => {
        if (this.jobs === 0) this.tell({ state: 'idle' });
      });
    }, minutes * 60_000);
    this.idleTimer.unref();
  }

  private stopIdling(): void {
    if (this.idleTimer !== null) clearTimeout(this.idleTimer);
    this.idleTimer = null;
  }
}

function session(
  child: EngineChild,
  model: LoadedModel,
  progress: { emitted: boolean },
  signal: AbortSignal,
): EngineSession {
  return {
    ...model,
    tokenize: (texts, options) => abortable(child.tokenize(texts, options), signal),
    template: (messages) => abortable(child.template(messages), signal),
    generate: (job, jobSignal) =>
      child.generate(
        {
          ...job,
          onVerified: (event) => {
            progress.emitted = true;
            job.onVerified(event);
          },
        },
        jobSignal,
      ),
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

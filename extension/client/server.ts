/**
 * The connection to the language server: starts it, restarts it with a cap, and turns protocol/messages.ts into
 * functions and events. Nothing here throws for a server that is not there; the phase says so.
 */
import * as vscode from 'vscode';
import {
  CloseAction,
  ErrorAction,
  LanguageClient,
  RevealOutputChannelOn,
  State,
  TransportKind,
  type LanguageClientOptions,
} from 'vscode-languageclient/node';
import {
  BlockNotification,
  CompleteRequest,
  DiagnosticsRequest,
  ImportModelRequest,
  SettingsNotification,
  StateNotification,
  SummarizeRequest,
  TelemetryNotification,
  UserMessageNotification,
  type BlockParams,
  type CompleteParams,
  type CompleteResult,
  type ImportModelResult,
  type InitializationOptions,
  type StateParams,
  type SummarizeParams,
  type SummarizeResult,
  type TelemetryParams,
  type UserMessageParams,
} from '../../protocol/messages';
import type { ServerSettings } from '../../protocol/settings';
import { SCHEMES } from '../inline/eligibility';
import type { ServerPhase } from './phase';
import { RestartPolicy } from './restartPolicy';

export interface ServerLocation {
  readonly module: string;
  readonly initializationOptions: () => InitializationOptions;
}

/** Time for the server to end its engine: ../../server/engine/child.ts kills one that takes longer than a second. */
const STOP_MS = 5000;

const START_AGAIN = 'Run "SpecDiff: Restart" to try again, and see the log for the cause.';

export class Server implements vscode.Disposable {
  private readonly phaseChanged = new vscode.EventEmitter<ServerPhase>();
  private readonly blockArrived = new vscode.EventEmitter<BlockParams>();
  private readonly telemetryArrived = new vscode.EventEmitter<TelemetryParams>();
  private readonly stateChanged = new vscode.EventEmitter<StateParams>();
  private readonly messageArrived = new vscode.EventEmitter<UserMessageParams>();
  readonly onDidChangePhase = this.phaseChanged.event;
  readonly onBlock = this.blockArrived.event;
  readonly onTelemetry = this.telemetryArrived.event;
  readonly onDidChangeState = this.stateChanged.event;
  readonly onUserMessage = this.messageArrived.event;

  /** A fresh one at every restart: one whose start failed, or whose server ends late, is of no more use. */
  private client: LanguageClient;
  private started: Promise<void> = Promise.resolve();
  private readonly restarts = new RestartPolicy();
  private currentPhase: ServerPhase = { phase: 'starting' };
  /** What the server knows from its start. */
  private settingsAtStart: ServerSettings | null = null;
  private lastRequestId = 0;

  constructor(
    private readonly location: ServerLocation,
    private readonly log: vscode.LogOutputChannel,
  ) {
    this.client = this.newClient();
  }

  get phase(): ServerPhase {
    return this.currentPhase;
  }

  /** Unique while the extension lives, over completions and summaries. */
  nextRequestId(): number {
    this.lastRequestId += 1;
    return this.lastRequestId;
  }

  /** Starts the server; resolves when it answers or has failed. */
  start(): Promise<void> {
    this.started = this.startClient();
    return this.started;
  }

  private async startClient(): Promise<void> {
    try {
      await this.client.start();
    } catch (error) {
      this.log.error('The language server did not start.', error);
      this.setPhase({
        phase: 'failed',
        message: `The language server did not start. ${START_AGAIN}`,
      });
    }
  }

  /** Ends the server with its engine and starts fresh ones; earlier crashes no longer count. */
  async restart(): Promise<void> {
    this.restarts.reset();
    this.setPhase({ phase: 'starting' });
    const before = this.client;
    try {
      await this.stop();
    } catch (error) {
      this.log.warn('The language server did not stop in time; starting a new one.', error);
    }
    // Asked for twice at once, it is started once.
    if (this.client === before) {
      this.client = this.newClient();
      void this.start();
    }
    await this.started;
  }

  complete(params: CompleteParams, token: vscode.CancellationToken): Promise<CompleteResult> {
    return this.generate(token, () => this.client.sendRequest(CompleteRequest, params, token));
  }

  summarize(params: SummarizeParams, token: vscode.CancellationToken): Promise<SummarizeResult> {
    return this.generate(token, () => this.client.sendRequest(SummarizeRequest, params, token));
  }

  async importModel(path: string, token: vscode.CancellationToken): Promise<ImportModelResult> {
    try {
      return await this.client.sendRequest(ImportModelRequest, { path }, token);
    } catch (error) {
      return { ok: false, message: token.isCancellationRequested ? 'Import cancelled.' : this.explain(error) };
    }
  }

  /** Markdown about server and engine, or why there is none. */
  async diagnostics(): Promise<string> {
    try {
      return await this.client.sendRequest(DiagnosticsRequest);
    } catch (error) {
      return this.explain(error);
    }
  }

  sendSettings(settings: ServerSettings): void {
    if (this.client.state !== State.Running) return; // It gets them when it runs.
    this.client.sendNotification(SettingsNotification, settings).catch((error: unknown) => {
      this.log.warn('The settings did not reach the language server.', error);
    });
  }

  async stop(): Promise<void> {
    const { client } = this;
    // It can't be stopped in the middle of a start, ours or its own after a crash; `start` waits for either.
    if (client.state === State.Starting) await within(STOP_MS, client.start());
    if (client.needsStop()) await client.stop(STOP_MS);
  }

  dispose(): void {
    for (const emitter of [this.phaseChanged, this.blockArrived, this.telemetryArrived, this.stateChanged])
      emitter.dispose();
    this.messageArrived.dispose();
  }

  private async generate<T extends CompleteResult>(
    token: vscode.CancellationToken,
    send: () => Promise<T>,
  ): Promise<T | CompleteResult> {
    try {
      return await send();
    } catch (error) {
      if (token.isCancellationRequested) return { outcome: 'cancelled', text: '', stats: null };
      this.log.warn('A request failed.', error);
      return { outcome: 'failed', text: '', stats: null, message: this.explain(error) };
    }
  }

  private explain(error: unknown): string {
    return this.currentPhase.phase === 'failed' ? this.currentPhase.message : `${reason(error)}. ${START_AGAIN}`;
  }

  private newClient(): LanguageClient {
    const run = { module: this.location.module, transport: TransportKind.stdio };
    const servers = { run, debug: { ...run, options: { execArgv: ['--nolazy'] } } };
    const client: LanguageClient = new LanguageClient(
      'specdiff',
      'SpecDiff',
      servers,
      this.options(() => this.client === client),
    );
    client.onDidChangeState(({ newState }) => {
      if (this.client !== client) return;
      if (newState === State.Running) this.isRunning();
      if (newState === State.Starting) this.setPhase({ phase: 'starting' });
    });
    // A server on its way out still tells its states.
    const current =
      <T>(emitter: vscode.EventEmitter<T>) =>
      (event: T): void => {
        if (this.client === client) emitter.fire(event);
      };
    client.onNotification(BlockNotification, current(this.blockArrived));
    client.onNotification(TelemetryNotification, current(this.telemetryArrived));
    client.onNotification(StateNotification, current(this.stateChanged));
    client.onNotification(UserMessageNotification, current(this.messageArrived));
    return client;
  }

  private isRunning(): void {
    this.setPhase({ phase: 'running' });
    // Settings may have changed while it started.
    const { settings } = this.location.initializationOptions();
    if (settings !== this.settingsAtStart) this.sendSettings(settings);
  }

  private options(isCurrent: () => boolean): LanguageClientOptions {
    return {
      documentSelector: SCHEMES.map((scheme) => ({ scheme })),
      outputChannel: this.log,
      revealOutputChannelOn: RevealOutputChannelOn.Never,
      initializationOptions: () => {
        const options = this.location.initializationOptions();
        this.settingsAtStart = options.settings;
        return options;
      },
      initializationFailedHandler: () => false,
      // The standard request can't stream: extension/inline serves completions, other editors use the standard one.
      middleware: { provideInlineCompletionItems: () => undefined },
      errorHandler: {
        error: (error, message, count) => {
          this.log.warn(`Connection error ${count ?? 0}${message === undefined ? '' : ' while sending'}.`, error);
          return { action: ErrorAction.Continue, handled: true };
        },
        closed: () => {
          if (!isCurrent()) return { action: CloseAction.DoNotRestart, handled: true };
          if (this.restarts.mayRestart()) {
            this.log.warn('The language server ended unexpectedly; starting it again.');
            return { action: CloseAction.Restart, handled: true };
          }
          const message = `The language server ended again and again and is left off. ${START_AGAIN}`;
          this.setPhase({ phase: 'failed', message });
          return { action: CloseAction.DoNotRestart, message, handled: true };
        },
      },
    };
  }

  private setPhase(phase: ServerPhase): void {
    this.currentPhase = phase;
    this.phaseChanged.fire(phase);
  }
}

/** Waits for a promise's end, whatever it is, but no longer than that. */
async function within(ms: number, promise: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)));
  await Promise.race([promise.catch(() => {}), late]);
  clearTimeout(timer);
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message.replace(/[.\s]+$/, '') : String(error);
}

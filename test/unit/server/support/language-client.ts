/** A minimal LSP client that talks to the real server process over stdio. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import {
  createMessageConnection,
  StreamMessageReader,
  StreamMessageWriter,
  CancellationToken,
  type MessageConnection,
} from 'vscode-languageserver-protocol/node';
import type {
  BlockParams,
  CompleteParams,
  CompleteResult,
  ImportModelResult,
  StateParams,
  SummarizeParams,
  SummarizeResult,
  TelemetryParams,
  UserMessageParams,
} from '../../../../protocol/messages';
import { DEFAULT_SETTINGS, type ServerSettings } from '../../../../protocol/settings';
import { BUNDLES, ROOT } from './product';

export interface ClientOptions {
  readonly storageDirectory: string;
  readonly settings?: Partial<ServerSettings>;
  readonly extensionRoot?: string;
  readonly workspaceTrusted?: boolean;
}

/** One thread: the machine may be busy with other things, and threads that wait for each other make that worse. */
const TEST_SETTINGS = { drafter: 'none', maxTokens: 16, threads: 1 } as const;

export class LanguageServerClient {
  readonly blocks: BlockParams[] = [];
  readonly telemetry: TelemetryParams[] = [];
  readonly states: StateParams[] = [];
  readonly messages: UserMessageParams[] = [];
  readonly logs: string[] = [];
  private readonly listeners = new Set<() => void>();
  private constructor(
    readonly process: ChildProcess,
    readonly connection: MessageConnection,
  ) {}

  static async start({
    storageDirectory,
    settings = {},
    extensionRoot = ROOT,
    workspaceTrusted = true,
  }: ClientOptions): Promise<LanguageServerClient> {
    const child = spawn(process.execPath, [join(BUNDLES, 'server.js'), '--stdio'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const connection = createMessageConnection(
      new StreamMessageReader(child.stdout),
      new StreamMessageWriter(child.stdin),
    );
    const client = new LanguageServerClient(child, connection);
    const note = (method: string, list: object[]): void => {
      connection.onNotification(method, (params: object) => {
        list.push(params);
        for (const listener of client.listeners) listener();
      });
    };
    note('specdiff/block', client.blocks);
    note('specdiff/telemetry', client.telemetry);
    note('specdiff/state', client.states);
    note('specdiff/userMessage', client.messages);
    connection.onNotification(
      'window/logMessage',
      ({ message }: { message: string }) => void client.logs.push(message),
    );
    connection.listen();
    await connection.sendRequest('initialize', {
      processId: process.pid,
      rootUri: null,
      capabilities: {},
      initializationOptions: {
        settings: { ...DEFAULT_SETTINGS.server, ...TEST_SETTINGS, ...settings },
        extensionRoot,
        storageDirectory,
        workspaceTrusted,
      },
    });
    await connection.sendNotification('initialized', {});
    return client;
  }

  /** Resolves as soon as what has been notified fulfils the condition. */
  until(condition: () => boolean): Promise<void> {
    if (condition()) return Promise.resolve();
    return new Promise((resolve) => {
      const check = (): void => {
        if (!condition()) return;
        this.listeners.delete(check);
        resolve();
      };
      this.listeners.add(check);
    });
  }

  open(uri: string, text: string, languageId = 'python', version = 1): Promise<void> {
    return this.connection.sendNotification('textDocument/didOpen', {
      textDocument: { uri, languageId, version, text },
    });
  }

  change(uri: string, version: number, contentChanges: readonly object[]): Promise<void> {
    return this.connection.sendNotification('textDocument/didChange', {
      textDocument: { uri, version },
      contentChanges,
    });
  }

  complete(
    params: Partial<CompleteParams> & Pick<CompleteParams, 'uri' | 'position'>,
    token?: CancellationToken,
  ): Promise<CompleteResult> {
    const whole = { requestId: 1, version: 1, trigger: 'explicit', ...params };
    return this.connection.sendRequest('specdiff/complete', whole, token ?? CancellationToken.None);
  }

  summarize(params: SummarizeParams, token?: CancellationToken): Promise<SummarizeResult> {
    return this.connection.sendRequest('specdiff/summarize', params, token ?? CancellationToken.None);
  }

  importModel(path: string): Promise<ImportModelResult> {
    return this.connection.sendRequest('specdiff/importModel', { path });
  }

  settings(settings: Partial<ServerSettings>): Promise<void> {
    return this.connection.sendNotification('specdiff/settings', {
      ...DEFAULT_SETTINGS.server,
      ...TEST_SETTINGS,
      ...settings,
    });
  }

  /** Text of the blocks of one request. */
  textOf(requestId: number): string {
    return this.blocks
      .filter((block) => block.requestId === requestId)
      .map(({ text }) => text)
      .join('');
  }

  get state(): string | undefined {
    return this.states.at(-1)?.engine.state;
  }

  async stop(): Promise<void> {
    const exited =
      this.process.exitCode === null && this.process.signalCode === null ? once(this.process, 'exit') : null;
    await this.connection.sendRequest('shutdown');
    await this.connection.sendNotification('exit');
    await exited;
    this.connection.dispose();
  }
}

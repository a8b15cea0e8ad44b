/** The language server: one connection, one engine, and the handlers between them. */
import { join } from 'node:path';
import { TextDocumentSyncKind, type Connection, type InitializeResult } from 'vscode-languageserver/node';
import {
  BlockNotification,
  CompleteRequest,
  DiagnosticsRequest,
  ImportModelRequest,
  RestartEngineRequest,
  SettingsNotification,
  StateNotification,
  SummarizeRequest,
  TelemetryNotification,
  UserMessageNotification,
  type EngineState,
  type InitializationOptions,
} from '../../protocol/messages';
import { signalOf } from '../abort';
import { cpuLibraryPicker, createEngine } from '../engine/create';
import { readServerSettings } from '../settings';
import { CompletionRequests } from './completion-requests';
import { diagnosticsReport } from './diagnostics';
import { OpenDocuments } from './documents';
import type { RequestOutput } from './generation-request';
import { answerImport } from './import-request';
import { Log } from './log';
import { readInitializationOptions } from './options';
import { OtherEngines } from './other-engines';
import { StateReporter } from './state';
import { SummaryRequests } from './summary-requests';
import { notify, onNotification, onRequest, onRequest0 } from './typed-connection';
import { UserMessages } from './user-messages';

export function serve(connection: Connection): void {
  const log = new Log(connection);
  const documents = new OpenDocuments();
  connection.onInitialize(({ initializationOptions }): InitializeResult => {
    const options: unknown = initializationOptions;
    handleRequests(connection, documents, log, readInitializationOptions(options));
    return {
      serverInfo: { name: 'SpecDiff' },
      capabilities: {
        textDocumentSync: { openClose: true, change: TextDocumentSyncKind.Incremental },
        notebookDocumentSync: { notebookSelector: [{ notebook: '*' }] },
        inlineCompletionProvider: true,
      },
    };
  });
  documents.listen(connection);
  process.on('unhandledRejection', (reason) => {
    log.write('error', reason instanceof Error ? (reason.stack ?? reason.message) : String(reason));
  });
  connection.listen();
}

function handleRequests(
  connection: Connection,
  documents: OpenDocuments,
  log: Log,
  { extensionRoot, storageDirectory, workspaceTrusted, ...options }: InitializationOptions,
): void {
  let current = options.settings;
  const settings = (): typeof current => current;
  const messages = new UserMessages((message) => notify(connection, UserMessageNotification, message));
  const state = new StateReporter(
    (params) => notify(connection, StateNotification, params),
    () => engine.model?.description ?? null,
  );
  const otherEngines = new OtherEngines(
    storageDirectory,
    (count) => state.otherEngines(count),
    (text) => log.write('warning', text),
  );
  const onState = (engineState: EngineState): void => {
    state.engine(engineState);
    if (engineState.state === 'error') messages.once('error', engineState.message);
    const note = engine.model?.description.drafterNote ?? null;
    if (note !== null && current.drafterPath !== '') messages.once('warning', note);
  };
  const files = { enginePath: join(__dirname, 'engine.js'), extensionRoot, storageDirectory, log: log.write };
  const engine = createEngine({
    ...files,
    settings,
    onState,
    onProcess: (pid) => otherEngines.announce(pid),
    onCrash: (message) => messages.once('error', message),
  });
  const cpuLibraries = cpuLibraryPicker(files);
  const output: RequestOutput = {
    block: (requestId, text) => notify(connection, BlockNotification, { requestId, text }),
    telemetry: (event) => notify(connection, TelemetryNotification, event),
    log: log.write,
  };
  const completions = new CompletionRequests({ engine, documents, settings, workspaceTrusted }, output);
  const summaries = new SummaryRequests({ engine, documents, settings }, output);

  onRequest(connection, CompleteRequest, (params, token) => completions.complete(params, signalOf(token)));
  connection.languages.inlineCompletion.on(({ textDocument, position, context }, token) =>
    completions.inlineCompletion(textDocument.uri, position, context.selectedCompletionInfo, signalOf(token)),
  );
  onRequest(connection, SummarizeRequest, (params, token) => {
    completions.dropAhead();
    return summaries.summarize(params, signalOf(token));
  });
  onNotification(connection, SettingsNotification, (value) => {
    current = readServerSettings(value);
    completions.dropAhead();
    engine.settingsChanged();
  });
  onRequest(connection, ImportModelRequest, ({ path }, token) => {
    completions.dropAhead();
    return answerImport({ ...files, engine, cpuLibraries, settings, onState }, path, signalOf(token));
  });
  onRequest0(connection, RestartEngineRequest, () => {
    completions.dropAhead();
    return engine.restart();
  });
  onRequest0(connection, DiagnosticsRequest, () =>
    Promise.resolve(diagnosticsReport(current, state.current, log.lastProblems)),
  );
  connection.onInitialized(() => {
    otherEngines.start();
    void engine.lookForModel();
  });
  connection.onShutdown(async () => {
    await engine.dispose();
    otherEngines.dispose();
  });
}

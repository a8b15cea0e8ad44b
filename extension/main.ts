/** Wires the features; each lives in a file or folder of its own. */
import * as vscode from 'vscode';
import type { EngineState, StateParams } from '../protocol/messages';
import { Server } from './client/server';
import { copyDiagnostics } from './commands/diagnostics';
import { importModel } from './commands/importModel';
import { toggle, toggleLanguage } from './commands/toggles';
import { InlineCompletions } from './inline/completions';
import { eligibilityOf } from './inline/place';
import { Notices } from './notices';
import { isLanguageOn, readSettings } from './settings';
import { StatusItem, MENU_COMMAND } from './status/item';
import { showMenu, type MenuState } from './status/menu';
import { Summarize } from './summarize/command';
import { SummaryPreviews } from './summarize/preview';
import type { TelemetrySnapshot } from './telemetry/snapshot';
import { TelemetryStore } from './telemetry/store';
import { TelemetryView, TELEMETRY_VIEW } from './telemetry/view';

/** What another extension, or a test, may watch. */
export interface SpecDiffApi {
  readonly engineState: () => EngineState;
  readonly telemetry: () => TelemetrySnapshot;
  readonly onDidChange: vscode.Event<void>;
}

const IMPORT = 'Import a model file…';

let server: Server | undefined;

export function activate(context: vscode.ExtensionContext): SpecDiffApi {
  const log = vscode.window.createOutputChannel('SpecDiff', { log: true });
  const notices = new Notices(log);
  const changed = new vscode.EventEmitter<void>();
  const store = new TelemetryStore();
  let settings = currentSettings();
  let state: StateParams = { engine: { state: 'idle' }, loaded: null, otherEngines: 0 };

  const connection = new Server(
    {
      module: context.asAbsolutePath('dist/server.js'),
      initializationOptions: () => ({
        settings: settings.server,
        extensionRoot: context.extensionPath,
        storageDirectory: context.globalStorageUri.fsPath,
        workspaceTrusted: vscode.workspace.isTrusted,
      }),
    },
    log,
  );
  server = connection;

  const refresh = (): void => {
    status.refresh();
    view.refresh();
    changed.fire();
  };
  const completions = new InlineCompletions(
    context.extension.id,
    connection,
    () => settings.editor,
    {
      shown: (requestId) => {
        store.countShown(requestId);
        refresh();
      },
      accepted: (requestId) => {
        store.countAccepted(requestId);
        refresh();
      },
    },
    log,
  );
  const view = new TelemetryView(context.extensionUri, {
    snapshot: () => store.snapshot(),
    exported: () => store.exported(),
    reset: () => {
      store.reset();
      refresh();
    },
  });
  const status = new StatusItem(() => ({
    enabled: settings.editor.enable,
    offForLanguage: languageOff(),
    server: connection.phase,
    ...state,
    last: store.lastStats,
    suggestions: store.suggestions,
  }));
  const previews = new SummaryPreviews();
  const summarize = new Summarize(connection, previews);

  function languageOff(): string | null {
    const document = vscode.window.activeTextEditor?.document;
    if (document === undefined) return null;
    return eligibilityOf(document, settings.editor) === 'languageOff' ? document.languageId : null;
  }

  function menuState(): MenuState {
    const id = vscode.window.activeTextEditor?.document.languageId;
    const language = id === undefined ? null : { id, on: isLanguageOn(settings.editor.languages, id) };
    return { enabled: settings.editor.enable, language };
  }

  const runImport = (file?: unknown): ReturnType<typeof importModel> =>
    importModel(connection, file instanceof vscode.Uri ? file : undefined);

  context.subscriptions.push(
    log,
    changed,
    connection,
    completions,
    view,
    status,
    previews,
    connection.onDidChangePhase((phase) => {
      if (phase.phase !== 'running') state = { ...state, engine: { state: 'idle' }, loaded: null };
      if (phase.phase === 'failed') void notices.once('error', phase.message);
      refresh();
    }),
    connection.onDidChangeState((next) => {
      state = next;
      if (next.engine.state === 'noModel') {
        void notices
          .once('warning', next.engine.message, IMPORT)
          .then((action) => (action === IMPORT ? runImport() : undefined));
      }
      refresh();
    }),
    connection.onTelemetry((event) => {
      store.add(event);
      refresh();
    }),
    connection.onUserMessage(({ level, message }) => void notices.once(level, message)),
    vscode.window.onDidChangeActiveTextEditor(() => status.refresh()),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (!event.affectsConfiguration('specdiff')) return;
      settings = currentSettings();
      completions.cancel();
      connection.sendSettings(settings.server);
      refresh();
    }),
    // The server learns at its start what it may read; trust is granted once.
    vscode.workspace.onDidGrantWorkspaceTrust(() => connection.restart()),
    vscode.commands.registerCommand('specdiff.toggle', toggle),
    vscode.commands.registerCommand('specdiff.toggleLanguage', async (languageId?: unknown) => {
      const id = typeof languageId === 'string' ? languageId : vscode.window.activeTextEditor?.document.languageId;
      return id === undefined ? undefined : toggleLanguage(id);
    }),
    vscode.commands.registerCommand('specdiff.restart', () => connection.restart()),
    vscode.commands.registerCommand('specdiff.showLog', () => log.show()),
    vscode.commands.registerCommand('specdiff.copyDiagnostics', () =>
      copyDiagnostics(extensionVersion(context), connection),
    ),
    vscode.commands.registerCommand('specdiff.importModel', runImport),
    vscode.commands.registerCommand('specdiff.showTelemetry', () =>
      vscode.commands.executeCommand(`${TELEMETRY_VIEW}.focus`),
    ),
    vscode.commands.registerCommand('specdiff.summarizeSelection', () => summarize.summarizeSelection()),
    vscode.commands.registerCommand('specdiff.copySummary', () => summarize.copy()),
    vscode.commands.registerCommand('specdiff.insertSummary', () => summarize.insert()),
    vscode.commands.registerCommand(MENU_COMMAND, () => showMenu(menuState())),
  );

  void connection.start();
  return { engineState: () => state.engine, telemetry: () => store.snapshot(), onDidChange: changed.event };
}

export async function deactivate(): Promise<void> {
  await server?.stop();
}

function currentSettings(): ReturnType<typeof readSettings> {
  return readSettings(vscode.workspace.getConfiguration('specdiff'));
}

function extensionVersion(context: vscode.ExtensionContext): string {
  const manifest: unknown = context.extension.packageJSON;
  const version =
    typeof manifest === 'object' && manifest !== null && 'version' in manifest ? manifest.version : undefined;
  return typeof version === 'string' ? version : 'unknown';
}

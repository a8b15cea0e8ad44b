/** The telemetry view: a webview that shows the store's snapshots; it keeps nothing of its own. */
import { randomBytes } from 'node:crypto';
import * as vscode from 'vscode';
import { unlinked } from '../unlinked';
import { telemetryPage } from './html';
import type { SnapshotMessage, TelemetrySnapshot } from './snapshot';

export const TELEMETRY_VIEW = 'specdiff.telemetry';

/** At most one picture in this time: a screen shows no more. */
const FRAME_MS = 50;

export interface TelemetrySource {
  snapshot(): TelemetrySnapshot;
  /** Everything for an export, as JSON values. */
  exported(): unknown;
  reset(): void;
}

export class TelemetryView implements vscode.WebviewViewProvider, vscode.Disposable {
  private view: vscode.WebviewView | undefined;
  private timer: NodeJS.Timeout | undefined;
  private readonly registration: vscode.Disposable;

  constructor(
    private readonly extensionUri: vscode.Uri,
    private readonly source: TelemetrySource,
  ) {
    this.registration = vscode.window.registerWebviewViewProvider(TELEMETRY_VIEW, this);
  }

  resolveWebviewView(view: vscode.WebviewView): void {
    this.view = view;
    const { webview } = view;
    const file = (...path: string[]): string =>
      webview.asWebviewUri(vscode.Uri.joinPath(this.extensionUri, ...path)).toString();
    webview.options = {
      enableScripts: true,
      localResourceRoots: ['media', 'dist'].map((folder) => vscode.Uri.joinPath(this.extensionUri, folder)),
    };
    webview.onDidReceiveMessage((message: unknown) => this.receive(message));
    view.onDidChangeVisibility(() => this.post());
    view.onDidDispose(() => {
      this.view = undefined;
    });
    webview.html = telemetryPage({
      cspSource: webview.cspSource,
      nonce: randomBytes(16).toString('hex'),
      scriptUri: file('dist', 'media', 'telemetry.js'),
      styleUri: file('media', 'telemetry', 'style.css'),
    });
  }

  /** The store changed: the view follows within a frame. */
  refresh(): void {
    if (this.view?.visible !== true) return;
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      this.post();
    }, FRAME_MS);
  }

  dispose(): void {
    clearTimeout(this.timer);
    this.registration.dispose();
  }

  private post(): void {
    if (this.view?.visible !== true) return;
    const message: SnapshotMessage = { type: 'snapshot', snapshot: this.source.snapshot() };
    void this.view.webview.postMessage(message);
  }

  private receive(message: unknown): void {
    if (typeof message !== 'object' || message === null || !('type' in message)) return;
    if (message.type === 'ready') this.post();
    if (message.type === 'reset') {
      this.source.reset();
      this.post();
    }
    if (message.type === 'export') void this.export();
  }

  private async export(): Promise<void> {
    const uri = await vscode.window.showSaveDialog({
      title: 'Export SpecDiff telemetry',
      defaultUri: vscode.Uri.joinPath(
        vscode.workspace.workspaceFolders?.[0]?.uri ?? vscode.Uri.file('/'),
        'specdiff-telemetry.json',
      ),
      filters: { JSON: ['json'] },
    });
    if (uri === undefined) return;
    const text = `${JSON.stringify(this.source.exported(), null, 2)}\n`;
    try {
      await vscode.workspace.fs.writeFile(uri, new TextEncoder().encode(text));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      void vscode.window.showErrorMessage(
        `SpecDiff: the export was not written: ${unlinked(reason)}. Choose another folder.`,
      );
    }
  }
}

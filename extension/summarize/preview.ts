/**
 * Summaries as read-only Markdown documents of the scheme `specdiff-summary`, shown in VS Code's own Markdown preview.
 * The preview follows the document: an event of this provider refreshes both.
 */
import * as vscode from 'vscode';

const SCHEME = 'specdiff-summary';

/** Summaries kept. VS Code closes a document while its preview stays, and reads it again later. */
const KEPT = 20;

export class SummaryPreviews implements vscode.TextDocumentContentProvider, vscode.Disposable {
  private readonly texts = new Map<string, string>();
  private readonly changed = new vscode.EventEmitter<vscode.Uri>();
  readonly onDidChange = this.changed.event;
  private readonly subscriptions: readonly { dispose(): unknown }[];
  private lastNumber = 0;

  constructor() {
    this.subscriptions = [this.changed, vscode.workspace.registerTextDocumentContentProvider(SCHEME, this)];
  }

  /** Opens an empty summary beside the code; VS Code gives the preview the focus. */
  async open(title: string, text: string): Promise<vscode.Uri> {
    this.lastNumber += 1;
    // The name is the preview's title; the query keeps two summaries of one file apart.
    const name = title.replace(/[\\/]/g, ' ');
    const uri = vscode.Uri.from({ scheme: SCHEME, path: `/${name}.md`, query: String(this.lastNumber) });
    this.texts.set(uri.toString(), text);
    const [oldest] = this.texts.keys();
    if (this.texts.size > KEPT && oldest !== undefined) this.texts.delete(oldest);
    try {
      await vscode.commands.executeCommand('markdown.showPreviewToSide', uri);
    } catch {
      // The built-in Markdown extension may be disabled: the text itself will do.
      const document = await vscode.workspace.openTextDocument(uri);
      await vscode.window.showTextDocument(document, { viewColumn: vscode.ViewColumn.Beside, preserveFocus: true });
    }
    return uri;
  }

  update(uri: vscode.Uri, text: string): void {
    this.texts.set(uri.toString(), text);
    this.changed.fire(uri);
  }

  provideTextDocumentContent(uri: vscode.Uri): string {
    return this.texts.get(uri.toString()) ?? '';
  }

  dispose(): void {
    for (const subscription of this.subscriptions) subscription.dispose();
  }
}

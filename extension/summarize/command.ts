/** "SpecDiff: Summarize Selection" and what can be done with the summary. */
import * as vscode from 'vscode';
import type { BlockParams, SummarizeParams, SummarizeResult } from '../../protocol/messages';
import { SCHEMES } from '../inline/eligibility';
import { asComment } from './comment';
import { commentSyntaxOf } from './commentSyntax';
import { keptText, summaryMarkdown, type SummaryState } from './markdown';
import type { SummaryPreviews } from './preview';

export interface SummaryServer {
  nextRequestId(): number;
  summarize(params: SummarizeParams, token: vscode.CancellationToken): Promise<SummarizeResult>;
  readonly onBlock: vscode.Event<BlockParams>;
}

interface Summary {
  readonly text: string;
  readonly document: vscode.TextDocument;
  readonly line: number;
  /** Text of the selection's first line: finds the place again after edits. */
  readonly lineText: string;
}

const COPY = 'Copy';
const INSERT = 'Insert as Comment';
const HAS_SUMMARY = 'specdiff.hasSummary';

export class Summarize {
  private last: Summary | undefined;

  constructor(
    private readonly server: SummaryServer,
    private readonly previews: SummaryPreviews,
  ) {}

  /** Summarizes the active editor's selection; resolves with the outcome once the text is there. */
  async summarizeSelection(): Promise<SummarizeResult | undefined> {
    const editor = vscode.window.activeTextEditor;
    if (editor === undefined || editor.selection.isEmpty) {
      void vscode.window.showInformationMessage('SpecDiff: select the text to summarize first.');
      return undefined;
    }
    const { document, selection } = editor;
    if (!SCHEMES.some((scheme) => scheme === document.uri.scheme)) {
      void vscode.window.showInformationMessage(
        'SpecDiff: this view’s text can’t be summarized; copy it into a file or an untitled editor first.',
      );
      return undefined;
    }
    const { line } = selection.start;
    // It may be edited while the summary is written: the place is found again by what stands there now.
    const lineText = document.lineAt(line).text;
    const name = document.uri.path.split('/').at(-1) ?? document.uri.path;
    const source = `${name}, ${lineRange(selection)}`;
    const result = await vscode.window.withProgress(
      { location: vscode.ProgressLocation.Notification, title: 'SpecDiff: summarizing', cancellable: true },
      (progress, token) => this.stream(document, selection, source, progress, token),
    );
    if (result.text.trim() === '') return result;
    const text = keptText(result);
    this.last = { text, document, line, lineText };
    await vscode.commands.executeCommand('setContext', HAS_SUMMARY, true);
    if (result.outcome === 'done') void this.offerActions();
    return result;
  }

  async copy(): Promise<void> {
    if (this.last !== undefined) await vscode.env.clipboard.writeText(this.last.text);
  }

  /** Inserts the last summary above what it summarizes; false with a message where it can't. */
  async insert(): Promise<boolean> {
    if (this.last === undefined) return false;
    const { text } = this.last;
    const problem = await this.insertInto(this.last);
    if (problem === null) return true;
    const copied = await vscode.window.showWarningMessage(`SpecDiff: ${problem}`, COPY);
    if (copied === COPY) await vscode.env.clipboard.writeText(text);
    return false;
  }

  private async stream(
    document: vscode.TextDocument,
    selection: vscode.Selection,
    source: string,
    progress: vscode.Progress<{ message?: string }>,
    token: vscode.CancellationToken,
  ): Promise<SummarizeResult> {
    const requestId = this.server.nextRequestId();
    const params = {
      requestId,
      uri: document.uri.toString(),
      version: document.version,
      range: { start: position(selection.start), end: position(selection.end) },
    };
    let text = '';
    let uri: vscode.Uri | undefined;
    const show = (state: SummaryState): void => {
      if (uri !== undefined) this.previews.update(uri, summaryMarkdown(source, text, state));
    };
    const subscription = this.server.onBlock((block) => {
      if (block.requestId !== requestId) return;
      text += block.text;
      progress.report({ message: wordCount(text) });
      show({ state: 'running' });
    });
    try {
      const answer = this.server.summarize(params, token);
      uri = await this.previews.open(`Summary of ${source}`, summaryMarkdown(source, text, { state: 'running' }));
      await focusAgain(document);
      show({ state: 'running' });
      const result = await answer;
      show({ state: 'ended', result });
      // A cancelled request's answer may come without the text that was shown.
      return result.text === '' ? { ...result, text } : result;
    } finally {
      subscription.dispose();
    }
  }

  private async offerActions(): Promise<void> {
    const action = await vscode.window.showInformationMessage('SpecDiff: the summary is ready.', COPY, INSERT);
    if (action === COPY) await this.copy();
    if (action === INSERT) await this.insert();
  }

  /** What went wrong, with a way out; null where it was inserted. */
  private async insertInto({ document, text, line, lineText }: Summary): Promise<string | null> {
    const syntax = await commentSyntaxOf(document.languageId);
    if (syntax === null) return `${document.languageId} has no comments that are known here; copy the summary instead.`;
    const editor = await vscode.window.showTextDocument(document.uri, { viewColumn: columnOf(document) }).then(
      (shown) => shown,
      () => null,
    );
    if (editor === null) return 'The summarized document can’t be opened any more; copy the summary instead.';
    const current = editor.document;
    const place = nearestLine(current, line, lineText);
    if (place === null) return 'The summarized text is gone from the document; copy the summary instead.';
    const indentation = /^\s*/.exec(lineText)?.[0] ?? '';
    const done = await editor.edit((edit) =>
      edit.insert(new vscode.Position(place, 0), asComment(text, syntax, indentation)),
    );
    return done ? null : 'The document can’t be edited; copy the summary instead.';
  }
}

/** VS Code gives a new preview the focus; the user goes on in the code. A notebook's cell can't be shown by itself. */
async function focusAgain(document: vscode.TextDocument): Promise<void> {
  if (vscode.window.activeTextEditor?.document === document || document.uri.scheme === 'vscode-notebook-cell') return;
  await vscode.window.showTextDocument(document, { viewColumn: columnOf(document), preserveFocus: false });
}

function wordCount(text: string): string {
  const words = text.split(/\s+/).filter((word) => word !== '').length;
  return words === 1 ? '1 word' : `${words} words`;
}

function position({ line, character }: vscode.Position): SummarizeParams['range']['start'] {
  return { line, character };
}

function lineRange(selection: vscode.Selection): string {
  const first = selection.start.line + 1;
  // A selection that ends before a line's first character does not hold that line.
  const last = Math.max(first, selection.end.character === 0 ? selection.end.line : selection.end.line + 1);
  return first === last ? `line ${first}` : `lines ${first}–${last}`;
}

function columnOf(document: vscode.TextDocument): vscode.ViewColumn {
  const shown = vscode.window.visibleTextEditors.find((editor) => editor.document === document);
  return shown?.viewColumn ?? vscode.ViewColumn.One;
}

/** The line with that text closest to where it was. */
function nearestLine(document: vscode.TextDocument, line: number, text: string): number | null {
  for (let distance = 0; distance < document.lineCount; distance += 1) {
    for (const candidate of [line - distance, line + distance]) {
      if (candidate >= 0 && candidate < document.lineCount && document.lineAt(candidate).text === text)
        return candidate;
    }
  }
  return null;
}

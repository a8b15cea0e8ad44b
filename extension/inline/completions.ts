/**
 * Ghost text: answers VS Code from the running session, starts one where there is none, and lets shown text grow as
 * blocks arrive. The session's own rules are in session.ts.
 */
import * as vscode from 'vscode';
import type { Range } from 'vscode-languageserver-protocol';
import type { BlockParams, CompleteParams, CompleteResult } from '../../protocol/messages';
import type { EditorSettings } from '../../protocol/settings';
import { refusal, SCHEMES } from './eligibility';
import { GrowingRegistration } from './growth';
import { eligibilityOf } from './place';
import { looksAccepted } from './partialAccept';
import { Session, type Answer, type Offer, type SelectedItem } from './session';

export const DISMISS_COMMAND = 'specdiff.dismiss';
/** Run by VS Code when a suggestion is accepted whole; not contributed, so nobody sees it. */
const ACCEPTED_COMMAND = 'specdiff.suggestionAccepted';
const ACTIVE_CONTEXT = 'specdiff.sessionActive';
const SELECTOR = SCHEMES.map((scheme) => ({ scheme }));

export interface CompletionServer {
  nextRequestId(): number;
  complete(params: CompleteParams, token: vscode.CancellationToken): Promise<CompleteResult>;
  readonly onBlock: vscode.Event<BlockParams>;
}

/** Told what the user saw and took. */
export interface SuggestionCounter {
  shown(requestId: number): void;
  accepted(requestId: number): void;
}

interface Running {
  readonly session: Session;
  readonly cancellation: vscode.CancellationTokenSource;
}

export class InlineCompletions implements vscode.InlineCompletionItemProvider, vscode.Disposable {
  private running: Running | undefined;
  private contextIsSet = false;
  private readonly registration: GrowingRegistration;
  private readonly subscriptions: readonly { dispose(): unknown }[];

  constructor(
    extensionId: string,
    private readonly server: CompletionServer,
    private readonly settings: () => EditorSettings,
    private readonly counter: SuggestionCounter,
    private readonly log: vscode.LogOutputChannel,
  ) {
    this.registration = new GrowingRegistration(extensionId, SELECTOR, this, log);
    this.subscriptions = [
      this.registration,
      server.onBlock((block) => this.receive(block)),
      vscode.workspace.onDidChangeTextDocument((event) => this.follow(event)),
      vscode.workspace.onDidCloseTextDocument((document) => {
        if (this.isCurrent(document)) this.cancel();
      }),
      vscode.window.onDidChangeTextEditorSelection((event) => this.followCursor(event)),
      vscode.window.onDidChangeActiveTextEditor((editor) => {
        if (editor === undefined || !this.isCurrent(editor.document)) this.cancel();
      }),
      vscode.commands.registerCommand(DISMISS_COMMAND, () => this.dismiss()),
      vscode.commands.registerCommand(ACCEPTED_COMMAND, (requestId: unknown) => {
        if (typeof requestId === 'number') counter.accepted(requestId);
      }),
    ];
  }

  async provideInlineCompletionItems(
    document: vscode.TextDocument,
    position: vscode.Position,
    context: vscode.InlineCompletionContext,
    token: vscode.CancellationToken,
  ): Promise<vscode.InlineCompletionItem[] | undefined> {
    const settings = this.settings();
    const explicit = context.triggerKind === vscode.InlineCompletionTriggerKind.Invoke;
    const eligible = eligibilityOf(document, settings);
    if (eligible !== 'on') {
      this.cancel();
      if (explicit) tell(refusal(eligible, document.languageId));
      return undefined;
    }
    const selected = selectedItem(context, position);
    if (selected === 'unsupported') return undefined;

    let running = this.running;
    let answer = this.ask(running, document, position, selected);
    if (answer.kind === 'other' || (answer.kind === 'nothing' && explicit)) {
      // Behind an accepted suggestion nobody is typing, and the next one may be there already.
      const pause = running?.session.takenUpTo(document.uri.toString(), position) === true ? 0 : settings.debounceMs;
      this.cancel();
      if (!explicit) {
        if (!settings.automatic || !(await waited(pause, token))) return undefined;
      }
      running = this.begin(document, position, selected, explicit);
      answer = this.ask(running, document, position, selected);
    }
    while (answer.kind === 'wait' && running !== undefined) {
      await untilChanged(running.session, token);
      if (token.isCancellationRequested) return undefined;
      answer = this.ask(running, document, position, selected);
    }
    if (answer.kind !== 'offer' || running === undefined) return undefined;
    this.counter.shown(running.session.requestId);
    return [item(answer.offer, position, running.session.requestId)];
  }

  /** Ends the running session, e.g. when completions are switched off; shown text goes with the next event. */
  cancel(): void {
    if (this.running === undefined) return;
    this.running.session.cancel();
    this.stopGenerating(this.running);
    this.running = undefined;
    this.updateContext();
  }

  async dismiss(): Promise<void> {
    if (this.running !== undefined) {
      this.running.session.dismiss();
      this.stopGenerating(this.running);
    }
    this.updateContext();
    await vscode.commands.executeCommand('editor.action.inlineSuggest.hide');
  }

  dispose(): void {
    this.cancel();
    for (const subscription of this.subscriptions) subscription.dispose();
  }

  private ask(
    running: Running | undefined,
    document: vscode.TextDocument,
    position: vscode.Position,
    selected: SelectedItem | undefined,
  ): Answer {
    return running?.session.ask(document.uri.toString(), position, selected) ?? { kind: 'other' };
  }

  private begin(
    document: vscode.TextDocument,
    position: vscode.Position,
    selected: SelectedItem | undefined,
    explicit: boolean,
  ): Running {
    const uri = document.uri.toString();
    const requestId = this.server.nextRequestId();
    const linePrefix = document.lineAt(position.line).text.slice(0, position.character);
    const session = new Session({ requestId, uri, position, linePrefix, ...(selected && { selected }) });
    const running = { session, cancellation: new vscode.CancellationTokenSource() };
    this.running = running;
    this.updateContext();
    void this.generate(running, {
      requestId,
      uri,
      version: document.version,
      position: { line: position.line, character: position.character },
      trigger: explicit ? 'explicit' : 'automatic',
      ...(selected && { selectedCompletion: { range: rangeOn(position.line, selected), text: selected.text } }),
    });
    return running;
  }

  private async generate(running: Running, params: CompleteParams): Promise<void> {
    const result = await this.server.complete(params, running.cancellation.token);
    running.session.finish();
    this.updateContext();
    this.log.debug(`Completion ${params.requestId}: ${result.outcome}, ${result.text.length} characters.`);
    if (params.trigger === 'explicit') tell(result.message ?? null);
  }

  private stopGenerating(running: Running): void {
    running.cancellation.cancel();
    running.cancellation.dispose();
  }

  private receive(block: BlockParams): void {
    const running = this.running;
    if (running?.session.requestId !== block.requestId) return;
    const awaited = running.session.awaited;
    running.session.append(block.text);
    // Where VS Code waits for an answer it gets the text with it; else it has to be told that there is more.
    if (!awaited && this.cursorIsAt(running.session)) void this.registration.grow();
  }

  private cursorIsAt(session: Session): boolean {
    const editor = vscode.window.activeTextEditor;
    if (!session.alive || editor?.document.uri.toString() !== session.uri) return false;
    return editor.selection.isEmpty && session.settle(editor.selection.active);
  }

  private follow(event: vscode.TextDocumentChangeEvent): void {
    if (this.running === undefined || !this.isCurrent(event.document)) return;
    const { session } = this.running;
    const offered = session.text;
    const changes = event.contentChanges.map(({ range, text }) => ({ start: range.start, end: range.end, text }));
    const taken = session.apply(changes);
    if (taken === null) {
      this.cancel();
      return;
    }
    if (changes[0] !== undefined && looksAccepted(changes[0], offered)) this.counter.accepted(session.requestId);
    this.updateContext();
  }

  private followCursor(event: vscode.TextEditorSelectionChangeEvent): void {
    if (this.running === undefined || !this.isCurrent(event.textEditor.document)) return;
    if (event.textEditor !== vscode.window.activeTextEditor) return;
    const [selection, ...more] = event.selections;
    const stays = selection?.isEmpty === true && more.length === 0 && this.running.session.settle(selection.active);
    if (!stays) this.cancel();
  }

  private isCurrent(document: vscode.TextDocument): boolean {
    return this.running?.session.uri === document.uri.toString();
  }

  private updateContext(): void {
    const active = this.running?.session.alive === true;
    if (active === this.contextIsSet) return;
    this.contextIsSet = active;
    void vscode.commands.executeCommand('setContext', ACTIVE_CONTEXT, active);
  }
}

/** A word in passing: what was asked for did not come, and a toast would be too much. */
function tell(message: string | null): void {
  if (message !== null) vscode.window.setStatusBarMessage(`SpecDiff: ${message}`, 5000);
}

function selectedItem(
  context: vscode.InlineCompletionContext,
  position: vscode.Position,
): SelectedItem | undefined | 'unsupported' {
  const info = context.selectedCompletionInfo;
  if (info === undefined) return undefined;
  const { range, text } = info;
  if (!range.isSingleLine || !range.contains(position)) return 'unsupported';
  return { startCharacter: range.start.character, endCharacter: range.end.character, text };
}

function rangeOn(line: number, selected: SelectedItem): Range {
  return { start: { line, character: selected.startCharacter }, end: { line, character: selected.endCharacter } };
}

function item(offer: Offer, position: vscode.Position, requestId: number): vscode.InlineCompletionItem {
  const range = new vscode.Range(
    position.translate(0, -offer.replaceBefore),
    position.translate(0, offer.replaceAfter),
  );
  const command = { command: ACCEPTED_COMMAND, title: 'Count an accepted suggestion', arguments: [requestId] };
  return new vscode.InlineCompletionItem(offer.text, range, command);
}

/** False where the token fired first. */
function waited(ms: number, token: vscode.CancellationToken): Promise<boolean> {
  if (token.isCancellationRequested) return Promise.resolve(false);
  return new Promise((resolve) => {
    const cancelled = token.onCancellationRequested(() => {
      clearTimeout(timer);
      cancelled.dispose();
      resolve(false);
    });
    const timer = setTimeout(() => {
      cancelled.dispose();
      resolve(true);
    }, ms);
  });
}

/** Resolves at the session's next block, end or cancellation, or when the token fires. */
function untilChanged(session: Session, token: vscode.CancellationToken): Promise<void> {
  if (token.isCancellationRequested) return Promise.resolve();
  return new Promise((resolve) => {
    const settled = (): void => {
      stop();
      cancelled.dispose();
      resolve();
    };
    const stop = session.onChange(settled);
    const cancelled = token.onCancellationRequested(settled);
  });
}

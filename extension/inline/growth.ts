/**
 * Makes VS Code show more text at a place where it already shows some.
 *
 * VS Code ignores a trigger at the position and document version it has an answer for, so a plain trigger would leave
 * the ghost text at its first block, and hide-then-trigger flickers (4 blank frames of 108 ms on 1.139). A *new*
 * provider is asked without dropping what is shown: so we register ourselves anew and trigger for our own extension
 * alone, in the background (`explicit: false`). The arguments are internal to VS Code: this is the only place that
 * knows them, and versions without them ignore them, which is a plain trigger (1.100 then grows once).
 */
import * as vscode from 'vscode';

const TRIGGER = 'editor.action.inlineSuggest.trigger';

export class GrowingRegistration implements vscode.Disposable {
  private registration: vscode.Disposable;
  private running = false;
  private wanted = false;

  constructor(
    private readonly extensionId: string,
    private readonly selector: vscode.DocumentSelector,
    private readonly provider: vscode.InlineCompletionItemProvider,
    private readonly log: vscode.LogOutputChannel,
  ) {
    this.registration = this.register();
  }

  /** Asks VS Code to take the provider's longer text; calls while one is under way become one more. */
  async grow(): Promise<void> {
    this.wanted = true;
    if (this.running) return;
    this.running = true;
    try {
      while (this.wanted) {
        this.wanted = false;
        await this.retrigger();
      }
    } finally {
      this.running = false;
    }
  }

  dispose(): void {
    this.registration.dispose();
  }

  private async retrigger(): Promise<void> {
    const previous = this.registration;
    this.registration = this.register();
    try {
      await vscode.commands.executeCommand(TRIGGER, { explicit: false, providerId: `${this.extensionId}:*` });
    } catch (error) {
      this.log.debug('Targeted trigger refused; triggering plainly.', error);
      await this.triggerPlainly();
    } finally {
      previous.dispose();
    }
  }

  /** An editor that closes meanwhile refuses this too: then nothing is left to grow. */
  private async triggerPlainly(): Promise<void> {
    try {
      await vscode.commands.executeCommand(TRIGGER);
    } catch (error) {
      this.log.debug('Plain trigger refused.', error);
    }
  }

  private register(): vscode.Disposable {
    return vscode.languages.registerInlineCompletionItemProvider(this.selector, this.provider);
  }
}

/** Messages to the user, each text at most once a session. */
import * as vscode from 'vscode';
import type { UserMessageParams } from '../protocol/messages';
import { unlinked } from './unlinked';

export class Notices {
  private readonly seen = new Set<string>();

  constructor(private readonly log: vscode.LogOutputChannel) {}

  /** Shows the message with its actions; resolves with the chosen one, undefined where none was or it was shown before. */
  async once(level: UserMessageParams['level'], message: string, ...actions: string[]): Promise<string | undefined> {
    if (this.seen.has(message)) return undefined;
    this.seen.add(message);
    const text = `SpecDiff: ${unlinked(message)}`;
    switch (level) {
      case 'info':
        this.log.info(message);
        return vscode.window.showInformationMessage(text, ...actions);
      case 'warning':
        this.log.warn(message);
        return vscode.window.showWarningMessage(text, ...actions);
      case 'error':
        this.log.error(message);
        return vscode.window.showErrorMessage(text, ...actions);
    }
  }
}

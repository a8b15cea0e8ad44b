/** The status bar item. */
import * as vscode from 'vscode';
import { statusView, type StatusInput, type StatusView } from './view';

export const MENU_COMMAND = 'specdiff.menu';

const BACKGROUND: Readonly<Record<StatusView['severity'], string | undefined>> = {
  none: undefined,
  warning: 'statusBarItem.warningBackground',
  error: 'statusBarItem.errorBackground',
};

export class StatusItem implements vscode.Disposable {
  private readonly item = vscode.window.createStatusBarItem('specdiff.status', vscode.StatusBarAlignment.Right, 100);

  /** @param input reads what is known at the moment of a refresh. */
  constructor(private readonly input: () => StatusInput) {
    this.item.name = 'SpecDiff';
    this.item.command = MENU_COMMAND;
    this.refresh();
    this.item.show();
  }

  refresh(): void {
    const view = statusView(this.input());
    const background = BACKGROUND[view.severity];
    this.item.text = view.text;
    this.item.tooltip = new vscode.MarkdownString(view.tooltip);
    this.item.backgroundColor = background === undefined ? undefined : new vscode.ThemeColor(background);
    this.item.accessibilityInformation = { label: view.accessibleLabel, role: 'button' };
  }

  dispose(): void {
    this.item.dispose();
  }
}

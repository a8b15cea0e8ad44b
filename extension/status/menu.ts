/** The menu behind the status bar item: everything the extension can do, each entry a command of its own. */
import * as vscode from 'vscode';

export interface MenuState {
  readonly enabled: boolean;
  /** The active editor's language and whether completions are on for it; null without an editor. */
  readonly language: { readonly id: string; readonly on: boolean } | null;
}

interface Entry extends vscode.QuickPickItem {
  readonly command: string;
  readonly arguments?: readonly unknown[];
}

export async function showMenu(state: MenuState): Promise<void> {
  const picked = await vscode.window.showQuickPick<Entry>(entries(state), {
    title: 'SpecDiff',
    placeHolder: 'Choose what to do',
  });
  if (picked !== undefined) await vscode.commands.executeCommand(picked.command, ...(picked.arguments ?? []));
}

function entries({ enabled, language }: MenuState): Entry[] {
  const forLanguage: Entry[] =
    language === null
      ? []
      : [
          {
            label: `$(code) Turn completions ${language.on ? 'off' : 'on'} for ${language.id}`,
            command: 'specdiff.toggleLanguage',
          },
        ];
  return [
    { label: `$(circle-slash) Turn completions ${enabled ? 'off' : 'on'}`, command: 'specdiff.toggle' },
    ...forLanguage,
    { label: '$(graph) Show telemetry', command: 'specdiff.showTelemetry' },
    { label: '$(output) Show log', command: 'specdiff.showLog' },
    { label: '$(debug-restart) Restart', command: 'specdiff.restart' },
    { label: '$(file-add) Import a model file…', command: 'specdiff.importModel' },
    { label: '$(copy) Copy diagnostics', command: 'specdiff.copyDiagnostics' },
    { label: '$(gear) Settings', command: 'workbench.action.openSettings', arguments: ['@ext:specdiff.specdiff'] },
  ];
}

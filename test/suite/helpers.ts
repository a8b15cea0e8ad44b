/** What the suite's tests share: the extension's interface, documents, and waiting for things to happen. */
import assert from 'node:assert/strict';
import * as vscode from 'vscode';
import type { SpecDiffApi } from '../../extension/main';

const ID = 'specdiff.specdiff';
/** Loading the engine and a model on a busy machine. */
const PATIENCE_MS = 100_000;

export function extension(): vscode.Extension<SpecDiffApi> {
  const found = vscode.extensions.getExtension<SpecDiffApi>(ID);
  assert.ok(found, `${ID} is installed`);
  return found;
}

export async function api(): Promise<SpecDiffApi> {
  return extension().activate();
}

/** Opens an unsaved document with the cursor at its end. */
export async function openText(content: string, language = 'javascript'): Promise<vscode.TextEditor> {
  return show(await vscode.workspace.openTextDocument({ content, language }));
}

export async function show(document: vscode.TextDocument): Promise<vscode.TextEditor> {
  const editor = await vscode.window.showTextDocument(document, { viewColumn: vscode.ViewColumn.One });
  const end = document.lineAt(document.lineCount - 1).range.end;
  editor.selection = new vscode.Selection(end, end);
  return editor;
}

export async function closeAll(): Promise<void> {
  // Unsaved documents would ask; what they hold is of no use to anybody.
  while (vscode.window.activeTextEditor !== undefined) {
    await vscode.commands.executeCommand('workbench.action.revertAndCloseActiveEditor');
  }
  await vscode.commands.executeCommand('workbench.action.closeAllEditors');
}

export function trigger(): Thenable<unknown> {
  return vscode.commands.executeCommand('editor.action.inlineSuggest.trigger');
}

/** Waits until the extension's state fulfils a condition. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  const { onDidChange } = await api();
  if (condition()) return;
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => {
      subscription.dispose();
      reject(new Error(`Waited in vain until ${what}.`));
    }, PATIENCE_MS);
    const subscription = onDidChange(() => {
      if (!condition()) return;
      clearTimeout(timer);
      subscription.dispose();
      resolve();
    });
  });
}

/** Asks for a completion and waits until one is shown and written to its end. */
export async function complete(): Promise<void> {
  const { telemetry, engineState } = await api();
  const before = telemetry().suggestions.shown;
  await trigger();
  await until('a suggestion is shown', () => telemetry().suggestions.shown > before);
  await until('it is complete', () => telemetry().current?.outcome !== 'running' && engineState().state === 'ready');
}

/**
 * Runs an accepting command until it changes the document: VS Code paints a suggestion some time after it got it, and
 * such a command does nothing before.
 */
export async function accept(command: string, document: vscode.TextDocument): Promise<string> {
  const { version } = document;
  for (let attempt = 0; attempt < 40 && document.version === version; attempt += 1) {
    await vscode.commands.executeCommand(command);
    if (document.version === version) await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.notEqual(document.version, version, `${command} changed nothing`);
  return document.getText();
}

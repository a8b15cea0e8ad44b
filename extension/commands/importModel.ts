/** "SpecDiff: Import a Model File…": hands a GGUF file to the server, which checks and copies it. */
import * as vscode from 'vscode';
import type { ImportModelResult } from '../../protocol/messages';
import { unlinked } from '../unlinked';

export interface ModelImporter {
  importModel(path: string, token: vscode.CancellationToken): Promise<ImportModelResult>;
}

/** @param file the model; asked for where it is missing. */
export async function importModel(importer: ModelImporter, file?: vscode.Uri): Promise<ImportModelResult | undefined> {
  const chosen = file ?? (await choose());
  if (chosen === undefined) return undefined;
  const result = await vscode.window.withProgress(
    { location: vscode.ProgressLocation.Notification, title: 'SpecDiff: importing the model', cancellable: true },
    (_progress, token) => importer.importModel(chosen.fsPath, token),
  );
  const show = result.ok ? vscode.window.showInformationMessage : vscode.window.showErrorMessage;
  void show(`SpecDiff: ${unlinked(result.message)}`);
  return result;
}

async function choose(): Promise<vscode.Uri | undefined> {
  const chosen = await vscode.window.showOpenDialog({
    title: 'Import a model file',
    openLabel: 'Import',
    filters: { 'GGUF models': ['gguf'] },
  });
  return chosen?.[0];
}

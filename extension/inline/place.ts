/** Looks at VS Code's tabs and documents for extension/inline/eligibility.ts. */
import * as vscode from 'vscode';
import type { EditorSettings } from '../../protocol/settings';
import { eligibility, type Eligibility } from './eligibility';

export function eligibilityOf(document: vscode.TextDocument, settings: EditorSettings): Eligibility {
  const { uri, languageId } = document;
  return eligibility({ scheme: uri.scheme, path: uri.path, languageId, inDiff: isInDiff(uri) }, settings);
}

/** Whether the tab in front compares this document: a diff editor's sides are ordinary documents otherwise. */
function isInDiff(uri: vscode.Uri): boolean {
  const input: unknown = vscode.window.tabGroups.activeTabGroup.activeTab?.input;
  if (input instanceof vscode.TabInputTextDiff) {
    return [input.original, input.modified].some((side) => side.toString() === uri.toString());
  }
  return input instanceof vscode.TabInputNotebookDiff;
}

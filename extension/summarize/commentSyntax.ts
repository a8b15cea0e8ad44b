/** A language's comments, from the language configuration of the extension that brings the language. */
import * as vscode from 'vscode';
import { fallbackSyntax, type CommentSyntax } from './comment';
import { parseJsonc } from './jsonc';

/** null where the language has no comments or is unknown. */
export async function commentSyntaxOf(languageId: string): Promise<CommentSyntax | null> {
  for (const extension of vscode.extensions.all) {
    const manifest: unknown = extension.packageJSON;
    for (const language of list(property(property(manifest, 'contributes'), 'languages'))) {
      const configuration = property(language, 'configuration');
      if (property(language, 'id') !== languageId || typeof configuration !== 'string') continue;
      const syntax = await read(vscode.Uri.joinPath(extension.extensionUri, configuration));
      if (syntax !== null) return syntax;
    }
  }
  return fallbackSyntax(languageId);
}

async function read(uri: vscode.Uri): Promise<CommentSyntax | null> {
  let configuration: unknown;
  try {
    configuration = parseJsonc(new TextDecoder().decode(await vscode.workspace.fs.readFile(uri)));
  } catch {
    return null; // Another extension's broken file is not the user's problem here: the table answers.
  }
  const comments = property(configuration, 'comments');
  const lineComment = property(comments, 'lineComment');
  const line = typeof lineComment === 'string' ? lineComment : property(lineComment, 'comment');
  const [open, close] = list(property(comments, 'blockComment'));
  const block = typeof open === 'string' && typeof close === 'string' ? ([open, close] as const) : null;
  if (typeof line !== 'string' && block === null) return null;
  return { line: typeof line === 'string' ? line : null, block };
}

function property(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  return Object.entries(value).find(([key]) => key === name)?.[1];
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** "SpecDiff: Copy Diagnostics": versions, settings, server and engine as Markdown; no document text. */
import * as vscode from 'vscode';
import type { ServerPhase } from '../client/phase';

export interface DiagnosticsSource {
  readonly phase: ServerPhase;
  diagnostics(): Promise<string>;
}

export async function diagnostics(version: string, server: DiagnosticsSource): Promise<string> {
  const { phase } = server;
  const own = [
    '# SpecDiff diagnostics',
    '',
    `- SpecDiff ${version}`,
    `- VS Code ${vscode.version} (${vscode.env.appHost}${vscode.env.remoteName === undefined ? '' : `, remote: ${vscode.env.remoteName}`})`,
    `- Node ${process.versions.node}, ${process.platform}-${process.arch}`,
    `- Workspace trusted: ${vscode.workspace.isTrusted}`,
    `- Language server: ${phase.phase}${phase.phase === 'failed' ? `, ${phase.message}` : ''}`,
  ];
  return `${[...own, '', await server.diagnostics()].join('\n').trimEnd()}\n`;
}

export async function copyDiagnostics(version: string, server: DiagnosticsSource): Promise<string> {
  const text = await diagnostics(version, server);
  await vscode.env.clipboard.writeText(text);
  vscode.window.setStatusBarMessage('SpecDiff: diagnostics copied', 3000);
  return text;
}

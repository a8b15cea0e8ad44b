import assert from 'node:assert/strict';
import * as vscode from 'vscode';
import type { SummarizeResult } from '../../protocol/messages';
import { api, closeAll, openText, show, until } from './helpers';

const CODE = `  function average(values) {
    let sum = 0;
    for (const value of values) sum += value;
    return sum / values.length;
  }
`;

describe('Summarize Selection', () => {
  afterEach(closeAll);

  it('writes a summary beside the code and inserts it as a comment', async () => {
    const editor = await openText(CODE);
    editor.selection = new vscode.Selection(0, 0, 5, 0);
    const result = await vscode.commands.executeCommand<SummarizeResult>('specdiff.summarizeSelection');
    assert.equal(result.outcome, 'done', result.message);
    assert.notEqual(result.text.trim(), '');
    const labels = vscode.window.tabGroups.all.flatMap((group) => group.tabs.map((tab) => tab.label));
    assert.ok(
      labels.some((label) => label.includes('Summary of')),
      labels.join(', '),
    );

    assert.equal(await vscode.commands.executeCommand('specdiff.insertSummary'), true);
    const text = editor.document.getText();
    assert.ok(text.endsWith(CODE), text);
    const comment = text.slice(0, -CODE.length).trimEnd().split('\n');
    assert.ok(comment.length > 0 && comment.every((line) => line.startsWith('  //')), text);
    const words = comment.map((line) => line.replace(/^ {2}\/\/ ?/, '')).join(' ');
    assert.equal(words.replace(/\s+/g, ' ').trim(), result.text.replace(/\s+/g, ' ').trim());
  });

  it('finds its place again where the document was edited while it was written', async () => {
    const editor = await openText(CODE);
    editor.selection = new vscode.Selection(2, 0, 5, 0);
    const summary = vscode.commands.executeCommand<SummarizeResult>('specdiff.summarizeSelection');
    const { telemetry } = await api();
    await until('it is being written', () => telemetry().current?.outcome === 'running');
    await editor.edit((edit) => edit.insert(new vscode.Position(0, 0), '// one\n// two\n'));
    await summary;
    assert.equal(await vscode.commands.executeCommand('specdiff.insertSummary'), true);
    const [before, after] = editor.document.getText().split('    for (');
    assert.match(before ?? '', /let sum = 0;\n(\s*\/\/.*\n)+$/);
    assert.ok(after !== undefined);
  });

  it('says that a view which the server does not know can’t be summarized', async () => {
    const provider = vscode.workspace.registerTextDocumentContentProvider('specdiff-test', {
      provideTextDocumentContent: () => CODE,
    });
    try {
      const editor = await show(await vscode.workspace.openTextDocument(vscode.Uri.parse('specdiff-test:/old.js')));
      editor.selection = new vscode.Selection(0, 0, 5, 0);
      assert.equal(await vscode.commands.executeCommand('specdiff.summarizeSelection'), undefined);
    } finally {
      provider.dispose();
    }
  });

  it('asks for a selection where there is none', async () => {
    await openText(CODE);
    assert.equal(await vscode.commands.executeCommand('specdiff.summarizeSelection'), undefined);
  });
});

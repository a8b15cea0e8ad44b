import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import * as vscode from 'vscode';
import { api, closeAll, complete, openText, show, trigger } from './helpers';

describe('where completions come', () => {
  afterEach(closeAll);

  it('not in a language that is switched off, until it is on again', async () => {
    const { telemetry } = await api();
    const before = telemetry().session.generations;
    assert.equal(await vscode.commands.executeCommand('specdiff.toggleLanguage', 'javascript'), false);
    try {
      await openText('const answer =');
      await trigger();
    } finally {
      assert.equal(await vscode.commands.executeCommand('specdiff.toggleLanguage', 'javascript'), true);
    }
    assert.equal(telemetry().session.generations, before);
    await openText('const list = [1, 2, 3];\nconst total =');
    await complete();
    assert.ok(telemetry().session.generations > before);
  });

  it('not when everything is switched off', async () => {
    const { telemetry } = await api();
    const before = telemetry().session.generations;
    assert.equal(await vscode.commands.executeCommand('specdiff.toggle'), false);
    try {
      await openText('const answer =');
      await trigger();
      assert.equal(telemetry().session.generations, before);
    } finally {
      assert.equal(await vscode.commands.executeCommand('specdiff.toggle'), true);
    }
  });

  it('never in a file that holds secrets, nor are those summarized', async () => {
    const { telemetry } = await api();
    const directory = await mkdtemp(path.join(os.tmpdir(), 'specdiff-suite-'));
    try {
      const file = path.join(directory, '.env');
      await writeFile(file, 'USER=me\nPASSWORD=');
      const before = telemetry().suggestions.shown;
      const editor = await show(await vscode.workspace.openTextDocument(file));
      await trigger();
      editor.selection = new vscode.Selection(0, 0, 1, 0);
      const result = await vscode.commands.executeCommand<{ outcome: string; message?: string }>(
        'specdiff.summarizeSelection',
      );
      assert.equal(result.outcome, 'refused');
      assert.match(result.message ?? '', /secret/i);
      assert.equal(telemetry().suggestions.shown, before);
    } finally {
      await closeAll();
      await rm(directory, { recursive: true, force: true });
    }
  });
});

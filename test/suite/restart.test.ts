import assert from 'node:assert/strict';
import * as vscode from 'vscode';
import { api, closeAll, complete, openText } from './helpers';

describe('restart', () => {
  after(closeAll);

  it('starts a fresh server and engine that complete as before', async () => {
    const { telemetry } = await api();
    // Twice at once, as an impatient user does; the second one comes in the middle of the first.
    await Promise.all([1, 2].map(() => vscode.commands.executeCommand('specdiff.restart')));
    const before = telemetry().session.generations;
    await openText('const numbers = [1, 2, 3];\nconst doubled =');
    await complete();
    assert.ok(telemetry().session.generations > before);
  });
});

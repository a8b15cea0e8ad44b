import assert from 'node:assert/strict';
import * as vscode from 'vscode';
import { DEFAULT_SETTINGS } from '../../protocol/settings';
import { readSettings } from '../../extension/settings';
import { api, extension } from './helpers';

interface Manifest {
  readonly contributes: { readonly commands: readonly { readonly command: string }[] };
}

describe('activation', () => {
  it('happens at start-up and gives the interface', async () => {
    const { engineState, telemetry } = await api();
    assert.ok(extension().isActive);
    assert.equal(typeof engineState().state, 'string');
    assert.equal(telemetry().session.passes, 0);
  });

  it('registers every command of the manifest', async () => {
    await api();
    const registered = new Set(await vscode.commands.getCommands(true));
    const { commands } = (extension().packageJSON as Manifest).contributes;
    assert.ok(commands.length > 0);
    assert.deepEqual(
      commands.map(({ command }) => command).filter((command) => !registered.has(command)),
      [],
    );
  });

  it('finds its settings’ defaults in VS Code', () => {
    const configuration = vscode.workspace.getConfiguration('specdiff');
    const defaults = { get: (key: string): unknown => configuration.inspect(key)?.defaultValue };
    assert.deepEqual(readSettings(defaults), DEFAULT_SETTINGS);
  });
});

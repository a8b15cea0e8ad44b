// The first run of a package without a model: it offers the import, and once a GGUF file is imported ghost text comes.
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it, onTestFailed } from 'vitest';
import { packageExtension } from '../../scripts/package.mjs';
import { CATALOGUE } from '../../server/models/catalogue';
import { Editor } from './harness/editor';

const environment = inject('environment');
const IMPORT = 'Import a model file…';
const NO_MODEL = 'notes.gguf';

describe.skipIf(environment === null)('First run of a package without a model', () => {
  let folder: string;
  let editor: Editor | undefined;
  beforeAll(async () => {
    if (environment === null) return;
    folder = mkdtempSync(path.join(os.tmpdir(), 'specdiff-package-'));
    const vsix = await packageExtension({ model: false, allKernels: false, folder });
    editor = await Editor.open({ ...environment, vsix }, { files: { [NO_MODEL]: 'This is no model.' } });
  });
  afterAll(async () => {
    await editor?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('offers the import, imports a GGUF file and shows ghost text from it', async () => {
    if (environment === null || editor === undefined) return;
    const { page } = editor;
    onTestFailed(() => editor?.screenshot('failed-first-run'));
    const [installed] = readdirSync(editor.extensions).filter((name) => name.startsWith('specdiff.'));
    expect(existsSync(path.join(editor.extensions, installed!, 'dist/server.js'))).toBe(true);
    expect(existsSync(path.join(editor.extensions, installed!, 'models/cache'))).toBe(false);

    // Before anything is typed.
    await editor.waitForStatus(/no model/);
    const offer = editor.notification(/No model is installed/);
    await offer.waitFor();
    await editor.screenshot('first-run-offer');
    await offer.getByRole('button', { name: IMPORT }).click();
    await editor.quickInput.waitFor();
    // A file that is no model is refused in one sentence, and the import is offered again by the menu.
    await chooseFile(editor, path.join(editor.workspace, NO_MODEL));
    await editor.notification(/not a GGUF model file/).waitFor();
    await editor.screenshot('first-run-refused');
    await editor.waitForStatus(/no model/);

    await editor.status.click();
    await page.locator('.quick-input-list .monaco-list-row', { hasText: IMPORT }).click();
    const { file } = CATALOGUE[0]!;
    await chooseFile(editor, path.join(environment.root, 'models/cache', file));
    await editor.notification(/is imported and is used from the next request on/).waitFor();
    await editor.screenshot('first-run-imported');
    await editor.waitForStatus(/^SpecDiff$/);

    await editor.openFile('src/cart.js');
    await editor.moveToEnd();
    await editor.type('function countItems(');
    expect((await editor.waitForGhost()).trim()).not.toBe('');
    await editor.screenshot('first-run-ghost-text');
  });
});

/** Takes a file in VS Code's own file dialog, which a browser shows as a quick input. */
async function chooseFile(editor: Editor, file: string): Promise<void> {
  await editor.quickInput.waitFor();
  await editor.quickInput.fill(`${path.dirname(file)}/`);
  await editor.page
    .locator('.quick-input-list .monaco-list-row', { hasText: path.basename(file) })
    .first()
    .click();
}

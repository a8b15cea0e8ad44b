// Where ghost text is shown and where not: never in a secret file; in untitled buffers and notebook cells too.
import { expect, it } from 'vitest';
import { describeInEditor } from './harness/fixture';

const SECRETS = 'DATABASE_URL=postgres://localhost/shop\nAPI_KEY=abc123\nAPI_SECRET=';
const NOTEBOOK = {
  cells: [
    {
      cell_type: 'code',
      execution_count: null,
      metadata: {},
      outputs: [],
      source: ['def add(left, right):\n', '    return left + right\n', '\n', 'def multiply(left, right):\n'],
    },
  ],
  metadata: { language_info: { name: 'python' } },
  nbformat: 4,
  nbformat_minor: 5,
};

const FILES = { '.env': SECRETS, 'numbers.ipynb': JSON.stringify(NOTEBOOK) };

describeInEditor('Places', { files: FILES }, (get) => {
  it('shows nothing in a .env file, even when asked', async () => {
    const editor = get();
    await editor.openFile('.env');
    await editor.moveToEnd();
    await editor.startRecording();
    await editor.runCommand('Trigger Inline Suggestion');
    // Asked for, the answer is a sentence in the status bar.
    await editor.page.locator('.statusbar-item', { hasText: /SpecDiff.*secret/i }).waitFor();
    await editor.type('sk');
    await editor.settle();
    await editor.screenshot('secret-file');
    const { frames } = await editor.takeRecording();
    expect(frames.filter((frame) => frame.text !== '')).toEqual([]);
  });

  it('works in an untitled buffer', async () => {
    const editor = get();
    await editor.newUntitledFile();
    await editor.type('The sun was setting over the');
    await editor.waitForGhost();
    await editor.screenshot('untitled');
  });

  it('works in a notebook cell', async () => {
    const editor = get();
    await editor.openTab('numbers.ipynb');
    await editor.page.locator('.notebook-editor .monaco-editor .view-line', { hasText: 'multiply' }).click();
    await editor.page.locator('.notebook-editor .monaco-editor.focused').waitFor();
    await editor.moveToEnd();
    await editor.type('    ');
    await editor.waitForGhost();
    await editor.screenshot('notebook');
  });
});

// "SpecDiff: Summarize Selection": streams into a Markdown preview beside the code, can be cancelled, copied and
// inserted as a comment.
import { expect, it, vi } from 'vitest';
import type { Editor } from './harness/editor';
import { describeInEditor } from './harness/fixture';
import { withSlowEngine } from './harness/slow';

const MARKDOWN_PREVIEW = 'extensionId=vscode.markdown-language-features';
const FILE = 'src/cart.js';
const COMMAND = 'SpecDiff: Summarize Selection';

/** Starts a summary of the first lines of the open file. */
async function startSummary(editor: Editor): Promise<void> {
  await editor.clickTab(FILE);
  await editor.moveTo(1, 1);
  for (let line = 0; line < 28; line += 1) await editor.press('Shift+ArrowDown');
  await editor.runCommand(COMMAND);
}

describeInEditor('Summarize Selection', { settings: { 'specdiff.summary.maxTokens': 96 } }, (get) => {
  it('writes into a preview beside the code', async () => {
    const editor = get();
    await editor.openFile(FILE);
    await startSummary(editor);
    await editor.notification(/summary is ready/i).waitFor();
    const preview = editor.webview(MARKDOWN_PREVIEW);
    await preview
      .locator('p', { hasText: /\w[^…]*$/ })
      .nth(1)
      .waitFor();
    await editor.screenshot('summary-done');
    await editor.waitForStatus(/\d+ tok\/s/);
  });

  it('can be copied', async () => {
    const editor = get();
    await editor.runCommand('SpecDiff: Copy Last Summary');
    const shown = await editor.webview(MARKDOWN_PREVIEW).locator('body').innerText();
    const squeeze = (text: string): string => text.replaceAll(/[\s*`#>_-]+/g, ' ').trim();
    await vi.waitFor(async () => {
      const copied = squeeze(await editor.clipboard());
      expect(copied).not.toBe('');
      expect(squeeze(shown)).toContain(copied);
    });
  });

  it('can be inserted as a comment of the language', async () => {
    const editor = get();
    const before = editor.onDisk(FILE);
    await editor.runCommand('SpecDiff: Insert Last Summary as Comment');
    await editor.page.locator('.tab.dirty', { hasText: 'cart.js' }).waitFor();
    await editor.screenshot('summary-inserted');
    const after = await editor.save(FILE);
    expect(after.endsWith(before)).toBe(true);
    const inserted = after
      .slice(0, after.length - before.length)
      .trimEnd()
      .split('\n');
    expect(inserted.every((line) => line === '//' || line.startsWith('// '))).toBe(true);
  });

  it('streams', async () => {
    const editor = get();
    const preview = editor.webview(MARKDOWN_PREVIEW);
    let early = '';
    await withSlowEngine(editor, async () => {
      await startSummary(editor);
      // While it is written, an ellipsis stands after the words.
      const growing = preview.locator('p', { hasText: /\w.*…$/s });
      await growing.waitFor();
      await editor.notification(/summarizing/i).waitFor();
      await editor.screenshot('summary-streaming');
      early = (await growing.innerText()).replace(/\s*…$/, '');
    });
    await editor.notification(/summarizing/i).waitFor({ state: 'detached' });
    expect(early).not.toBe('');
    await vi.waitFor(async () => {
      const whole = await preview.locator('body').innerText();
      expect(whole).toContain(early);
      // An ellipsis may stay where the limit ended the text, and then the page says so.
      expect(whole).toMatch(/^[^…]*$|it reached its limit/);
    });
  });

  it('ends on Cancel', async () => {
    const editor = get();
    const progress = editor.notification(/summarizing/i);
    await withSlowEngine(editor, async () => {
      await startSummary(editor);
      await progress.hover();
      await progress.getByRole('button', { name: 'Cancel' }).click();
    });
    await editor.webview(MARKDOWN_PREVIEW).getByText('Cancelled.').waitFor();
    await progress.waitFor({ state: 'detached' });
    await editor.waitForIdle();
    await editor.screenshot('summary-cancelled');
  });
});

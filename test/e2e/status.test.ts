// The status bar item: the speed of the last completion, and the menu behind it.
import { expect, it } from 'vitest';
import { describeInEditor } from './harness/fixture';

describeInEditor('Status bar', {}, (get) => {
  it('shows the speed of the last completion', async () => {
    const editor = get();
    await editor.openFile('src/cart.js');
    await editor.moveToEnd();
    await editor.type('function countItems(');
    await editor.waitForGhost();
    await editor.waitForIdle();
    const text = await editor.waitForStatus(/\d+ tok\/s/);
    expect(Number(/(\d+) tok\/s/.exec(text)?.[1])).toBeGreaterThan(0);
  });

  it('tells model, drafter, backend and τ when pointed at', async () => {
    const editor = get();
    await editor.status.hover();
    const tooltip = editor.page.locator('.monaco-hover', { hasText: 'SpecDiff' });
    await tooltip.waitFor();
    await editor.screenshot('status-tooltip');
    const text = await tooltip.innerText();
    for (const part of ['Model', 'Drafter', 'Computed on', 'τ']) expect(text).toContain(part);
  });

  it('opens a menu', async () => {
    const editor = get();
    await editor.status.click();
    const rows = editor.page.locator('.quick-input-list .monaco-list-row');
    await rows.first().waitFor();
    await editor.screenshot('status-menu');
    const labels = (await rows.allInnerTexts()).join('\n');
    for (const entry of [/turn completions off/i, /telemetry/i, /log/i, /restart/i]) expect(labels).toMatch(entry);
    await editor.press('Escape');
  });

  it('is off for a language that is switched off, and back on', async () => {
    const editor = get();
    const command = 'SpecDiff: Turn Completions On or Off for This Language';
    await editor.runCommand(command);
    await editor.waitForStatus(/off for javascript/);
    await editor.screenshot('status-off');
    await editor.runCommand(command);
    await editor.waitForStatus(/^(?!.*off)/);
    await editor.page.locator('.view-line', { hasText: 'countItems' }).click();
    await editor.moveToEnd();
    await editor.type('c');
    await editor.waitForGhost();
  });
});

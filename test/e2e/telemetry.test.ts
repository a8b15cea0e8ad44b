// The telemetry view: its numbers are the engine's own, added up here once more from the exported passes.
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it, vi } from 'vitest';
import type { GenerationStats, TokenOrigin, VerificationStats } from '../../protocol/messages';
import type { Editor } from './harness/editor';
import { describeInEditor } from './harness/fixture';

const VIEW = 'extensionId=specdiff.specdiff';
const WAIT = { timeout: 10_000, interval: 100 };
const EXPORT = 'specdiff-telemetry.json';
/** Of the function that is written. */
const END = '\n}';

interface Exported {
  readonly generations: readonly {
    readonly outcome: string;
    readonly passes: readonly VerificationStats[];
    readonly origins: readonly TokenOrigin[];
    readonly stats: GenerationStats | null;
  }[];
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** τ, draft acceptance and speed of some passes, written as the view writes them. */
function figures(passes: readonly VerificationStats[]): Record<string, string> {
  const tokens = sum(passes.map((pass) => pass.emitted));
  const decoded = sum(passes.map((pass) => (pass.verifyMs > 0 ? pass.emitted : 0)));
  const drafted = sum(passes.map((pass) => pass.drafted));
  const accepted = sum(passes.map((pass) => pass.accepted));
  const ms = sum(passes.map((pass) => pass.draftMs + pass.verifyMs));
  return {
    tau: (tokens / passes.length).toFixed(2),
    acceptance: drafted === 0 ? '–' : `${((100 * accepted) / drafted).toFixed(1)} %`,
    'tokens-per-second': ((1000 * decoded) / ms).toFixed(1),
  };
}

async function exportTelemetry(editor: Editor): Promise<Exported> {
  await editor.webview(VIEW).locator('#export').click();
  await editor.quickInput.waitFor();
  await editor.press('Enter');
  const file = path.join(editor.workspace, EXPORT);
  return vi.waitFor(() => {
    expect(existsSync(file)).toBe(true);
    return JSON.parse(readFileSync(file, 'utf8')) as Exported;
  });
}

describeInEditor('Telemetry view', {}, (get) => {
  it('shows the numbers of the engine', async () => {
    const editor = get();
    await editor.openFile('src/inventory.ts');
    await editor.runCommand('SpecDiff: Show Telemetry');
    const view = editor.webview(VIEW);
    await view.locator('#tau').waitFor();
    await editor.page.locator('.view-line', { hasText: 'What is in stock' }).click();
    await editor.moveToEnd();
    await editor.type('/** The total value of everything in stock. */\nfunction totalValue');
    await editor.waitForGhost();
    await editor.waitForIdle();
    // The view paints within a frame of the last event; its live region then says that the completion has ended.
    await view.locator('#status', { hasText: /Completion (done|cancelled)/ }).waitFor();
    // In the end the ghost text is what the engine wrote, up to the function's end: its last pass may have gone on.
    await vi.waitFor(async () => {
      const written = (await view.locator('#tokens .token').allTextContents()).join('');
      expect(written).not.toBe('');
      expect(await editor.ghost()).toBe(written.slice(0, written.indexOf(END) + END.length));
    }, WAIT);
    await editor.screenshot('telemetry');

    const exported = await exportTelemetry(editor);
    const last = exported.generations.at(-1)!;
    const passes = exported.generations.flatMap((generation) => generation.passes);
    const shown = async (id: string): Promise<string> => (await view.locator(`#${id}`).innerText()).trim();
    for (const [id, value] of Object.entries(figures(last.passes))) expect(await shown(id), id).toBe(value);
    for (const [id, value] of Object.entries(figures(passes))) expect(await shown(`session-${id}`), id).toBe(value);
    expect(await view.locator('#passes .pass').count()).toBe(last.passes.length);
    expect(await view.locator('#tokens .token').count()).toBe(last.origins.length);
    expect(last.origins.length).toBe(sum(last.passes.map((pass) => pass.emitted)));
    expect(last.origins.filter((origin) => origin === 'draft').length).toBe(
      sum(last.passes.map((pass) => pass.accepted)),
    );
    expect(last.stats?.tokens, "the server's own count").toBeLessThanOrEqual(last.origins.length);
  });

  it('starts anew on Reset', async () => {
    const editor = get();
    const view = editor.webview(VIEW);
    await view.locator('#reset').click();
    await view.locator('#session-tokens', { hasText: /^0$/ }).waitFor();
    expect(await view.locator('#tokens .token').count()).toBe(0);
    await editor.screenshot('telemetry-reset');
  });
});

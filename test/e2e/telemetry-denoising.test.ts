// The telemetry view of a drafter that denoises: which positions each step revealed, and what the target made of them.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, expect, it, vi } from 'vitest';
import type { VerificationStats } from '../../protocol/messages';
import { writeGguf } from '../support/gguf';
import { TINY_CODE_VOCABULARY, tinyDdit, tinyTarget } from '../support/tinyModel';
import { describeInEditor } from './harness/fixture';

const VIEW = 'extensionId=specdiff.specdiff';
const EXPORT = 'specdiff-telemetry.json';
const LENGTH = 8;
const STEPS = 4;

const folder = mkdtempSync(path.join(os.tmpdir(), 'specdiff-denoising-'));
const target = path.join(folder, 'target.gguf');
const drafter = path.join(folder, 'mdlm.gguf');
const models = {
  target: tinyTarget(1, TINY_CODE_VOCABULARY),
  drafter: tinyDdit({ seed: 3, architecture: 'mdlm', vocabulary: TINY_CODE_VOCABULARY }),
};
writeGguf(target, models.target.metadata, models.target.tensors);
writeGguf(drafter, models.drafter.metadata, models.drafter.tensors);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The columns that the view should have for a pass: the kinds of their cells, counted. */
function columns({ denoisingSteps = [], drafted, accepted, emitted }: VerificationStats): Record<string, number>[] {
  const last = Math.max(0, ...denoisingSteps);
  const first = denoisingSteps.includes(0) ? 0 : 1;
  const count = (matches: (step: number) => boolean): number => denoisingSteps.filter(matches).length;
  const steps = Array.from({ length: last + 1 - first }, (_, index) => first + index).map((now) => ({
    revealed: count((step) => step === now),
    known: count((step) => step < now),
    masked: count((step) => step > now),
  }));
  return [...steps, { accepted, own: emitted - accepted, rejected: drafted - accepted }];
}

describeInEditor(
  'Telemetry view of a denoising drafter',
  {
    files: { 'plain.txt': 'abc\n' },
    settings: { 'specdiff.drafter': 'mdlm', 'specdiff.draftLength': LENGTH, 'specdiff.denoisingSteps': STEPS },
    machineSettings: { 'specdiff.target.path': target, 'specdiff.drafterModel.path': drafter },
  },
  (get) => {
    it('shows the positions that each step revealed, then which of them were accepted', async () => {
      const editor = get();
      await editor.openFile('plain.txt');
      await editor.runCommand('SpecDiff: Show Telemetry');
      const view = editor.webview(VIEW);
      await view.locator('#tau').waitFor();
      await editor.page.locator('.view-line', { hasText: 'abc' }).click();
      await editor.type(' de');
      await view.locator('#status', { hasText: /Completion (done|cancelled)/ }).waitFor();
      await editor.waitForIdle();
      await view.locator('#export').click();
      await editor.quickInput.waitFor();
      await editor.press('Enter');
      const file = path.join(editor.workspace, EXPORT);
      const { generations } = await vi.waitFor(() => {
        expect(existsSync(file)).toBe(true);
        return JSON.parse(readFileSync(file, 'utf8')) as { generations: { passes: VerificationStats[] }[] };
      });
      const { passes } = generations.at(-1)!;
      const shown = await view.locator('#passes > .pass').evaluateAll((found) =>
        found.map((column) => ({
          title: (column as HTMLElement).title,
          kinds: [...column.children].map((cell) => cell.className.replace('cell ', '')),
        })),
      );
      await editor.screenshot('telemetry-denoising');

      const expected = passes.flatMap(columns);
      expect(shown).toHaveLength(expected.length);
      for (const [index, wanted] of expected.entries()) {
        for (const [kind, count] of Object.entries(wanted))
          expect(shown[index]!.kinds.filter((shownKind) => shownKind === kind).length, `${index} ${kind}`).toBe(count);
      }
      const steps = passes.map((pass) => Math.max(0, ...(pass.denoisingSteps ?? [])));
      expect(Math.max(...steps)).toBe(STEPS);
      expect(shown.some(({ title }) => /^mdlm: \d of 8 positions revealed in step 1 of 4$/.test(title))).toBe(true);
      const drafted = passes.reduce((sum, pass) => sum + pass.drafted, 0);
      const accepted = passes.reduce((sum, pass) => sum + pass.accepted, 0);
      console.log(`${passes.length} passes of up to ${Math.max(...steps)} steps, ${accepted} of ${drafted} accepted`);
      expect(accepted).toBeGreaterThan(0);
      expect(accepted).toBeLessThan(drafted);
    });
  },
);

// Ghost text as the user sees it, looked at frame by frame: it grows without a blank, stays while typing along, obeys
// Escape and can be accepted whole, by word and while it still grows.
import { expect, it, vi } from 'vitest';
import { CODE, START } from './fixtures/unfinished-code';
import { describeInEditor } from './harness/fixture';
import { blankFrames, firstTakenBack, growth, type Frame } from './harness/ghost';
import type { Editor } from './harness/editor';

/** Longest wait for a block that has been computed to be seen, on a busy machine. */
const WAIT = { timeout: 60_000, interval: 100 };
const NAMES = ['grow', 'along', 'escape', 'tab', 'word', 'midstream'];
const FILES = Object.fromEntries(NAMES.map((name) => [`ghost/${name}.js`, CODE]));
async function startCompletion(editor: Editor, file: string): Promise<void> {
  await editor.openFile(file);
  await editor.moveToEnd();
  await editor.startRecording();
  await editor.type(START);
}

/** What a file holds behind the characters that were typed. */
function acceptedOf(text: string): string {
  expect(text.startsWith(CODE + START)).toBe(true);
  return text.slice((CODE + START).length);
}

describeInEditor('Ghost text', { files: FILES, settings: { 'specdiff.completion.maxTokens': 96 } }, (get) => {
  it('appears after typing and grows by blocks, without a blank frame', async () => {
    const editor = get();
    await startCompletion(editor, 'ghost/grow.js');
    await editor.waitForGhost();
    await editor.waitForIdle();
    const frames: Frame[] = [];
    // The last block may be on its way to the screen still.
    await vi.waitFor(async () => {
      frames.push(...(await editor.takeRecording()).frames);
      expect(growth(frames).length, 'different lengths on screen').toBeGreaterThan(1);
    }, WAIT);
    await editor.screenshot('ghost-text');
    expect(blankFrames(frames), 'blank frames').toBe(0);
    expect(firstTakenBack(frames)).toBeNull();
  });

  it('stays while the user types along with it', async () => {
    const editor = get();
    await startCompletion(editor, 'ghost/along.js');
    const ahead = await editor.waitForGhost(6);
    await editor.takeRecording();
    const typed = ahead.slice(0, 6);
    for (const character of typed) {
      await editor.type(character);
      await editor.settle();
    }
    await editor.waitForIdle();
    const { frames } = await editor.takeRecording();
    await editor.screenshot('ghost-text-typed-along');
    expect(await editor.ghost()).not.toBe('');
    expect(blankFrames(frames), 'blank frames').toBe(0);
    expect(firstTakenBack(frames, typed)).toBeNull();
    expect(await editor.save('ghost/along.js')).toBe(CODE + START + typed);
  });

  it('goes on Escape, and no later block brings it back', async () => {
    const editor = get();
    await startCompletion(editor, 'ghost/escape.js');
    await editor.waitForGhost();
    await editor.press('Escape');
    await editor.waitForNoGhost();
    await editor.takeRecording();
    await editor.waitForIdle();
    await editor.settle();
    const { frames } = await editor.takeRecording();
    expect(frames.filter((frame) => frame.text !== '')).toEqual([]);
    await editor.screenshot('ghost-text-escaped');
    await editor.type(' ');
    await editor.waitForGhost();
  });

  it('is accepted by Tab, exactly as it was shown', async () => {
    const editor = get();
    await startCompletion(editor, 'ghost/tab.js');
    const ghost = await editor.waitForGhost();
    await editor.waitForIdle();
    // The last block may not have been drawn yet.
    await editor.settle();
    await editor.press('Tab');
    await editor.page.locator('.tab.active.dirty').waitFor();
    await editor.screenshot('ghost-text-accepted');
    const accepted = acceptedOf(await editor.save('ghost/tab.js'));
    expect(accepted.startsWith(ghost)).toBe(true);
    const { frames } = await editor.takeRecording();
    expect(frames.map((frame) => frame.text)).toContain(accepted);
  });

  it('is accepted word by word', async () => {
    const editor = get();
    await startCompletion(editor, 'ghost/word.js');
    const ghost = await editor.waitForGhost(6);
    await editor.press('Control+ArrowRight');
    const word = acceptedOf(await editor.save('ghost/word.js'));
    expect(word).not.toBe('');
    expect(word.length).toBeLessThan(ghost.length);
    // What remains may have grown by now, and be longer than all of it was.
    await editor.page.waitForFunction(
      `(${JSON.stringify(word)} + specdiffProbe.read()).startsWith(${JSON.stringify(ghost)})`,
    );
    await editor.screenshot('ghost-text-word-accepted');
  });

  it('keeps what was accepted while it grew, and goes on from there', async () => {
    const editor = get();
    await startCompletion(editor, 'ghost/midstream.js');
    const ghost = await editor.waitForGhost();
    await editor.press('Tab');
    await editor.waitForIdle();
    const accepted = acceptedOf(await editor.save('ghost/midstream.js'));
    expect(accepted.startsWith(ghost)).toBe(true);
    // Only now: right behind the key the old text is still on the screen.
    await editor.waitForGhost();
    await editor.screenshot('ghost-text-accepted-midstream');
  });
});

// The engine process is killed while it writes: one message, the next completion works, the editor never notices more.
import { expect, it } from 'vitest';
import { CODE, START } from './fixtures/unfinished-code';
import { describeInEditor } from './harness/fixture';

/** Plain decoding of a long text: there is time to kill it. */
const SETTINGS = { 'specdiff.drafter': 'none', 'specdiff.completion.maxTokens': 256, 'specdiff.debounceMs': 0 };

describeInEditor('Engine crash', { settings: SETTINGS, files: { 'unfinished.js': CODE } }, (get) => {
  it('costs one completion and one message', async () => {
    const editor = get();
    await editor.openFile('unfinished.js');
    await editor.moveToEnd();
    await editor.type(START);
    await editor.waitForGhost();
    const [engine, ...more] = editor.engines;
    expect(more).toEqual([]);
    process.kill(engine!.pid, 'SIGKILL');
    await editor.notification(/SpecDiff/).waitFor();
    await editor.screenshot('engine-killed');
    expect(await editor.notification(/SpecDiff/).count()).toBe(1);

    await editor.openFile('src/cart.js');
    await editor.moveToEnd();
    await editor.type('function add');
    await editor.waitForGhost();
    await editor.screenshot('engine-killed-next-completion');
    const [fresh] = editor.engines;
    expect(fresh!.pid).not.toBe(engine!.pid);
    const messages = await editor.notifications();
    expect(messages.filter((message) => message.includes('SpecDiff'))).toHaveLength(1);
  });
});

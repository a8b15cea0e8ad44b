// One editor for the tests of a file, with a screenshot of every failure.
import { afterAll, beforeAll, beforeEach, describe, inject, onTestFailed } from 'vitest';
import { Editor, type EditorOptions } from './editor';

/** A describe block whose tests share one freshly started editor; skipped as a whole where none can be had. */
export function describeInEditor(name: string, options: EditorOptions, tests: (editor: () => Editor) => void): void {
  const environment = inject('environment');
  describe.skipIf(environment === null)(name, () => {
    let editor: Editor | undefined;
    const current = (): Editor => {
      if (editor === undefined) throw new Error('The editor is not open');
      return editor;
    };
    beforeAll(async () => {
      if (environment !== null) editor = await Editor.open(environment, options);
    });
    beforeEach(({ task }) => {
      onTestFailed(async () => {
        const name = `failed ${task.name}`.replaceAll(/\W+/g, '-');
        editor?.keepLogs(name);
        await editor?.screenshot(name);
      });
    });
    afterAll(() => editor?.close());
    tests(current);
  });
}

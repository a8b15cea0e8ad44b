// Runs test/suite inside the extension host, as desktop VS Code would, and passes its report on.
import { format } from 'node:util';
import { describe, expect, inject, it } from 'vitest';
import { Editor } from './harness/editor';

const environment = inject('environment');

describe.skipIf(environment === null)('Extension host', () => {
  it('passes the suite', async () => {
    if (environment === null) return;
    const log: string[] = [];
    let finish: (code: number) => void = () => undefined;
    const exitCode = new Promise<number>((resolve) => {
      finish = resolve;
    });
    const editor = await Editor.open(environment, {
      smokeTestDriver: true,
      // The development copy is the one under test.
      installExtension: false,
      beforeLoad: async (page) => {
        await page.exposeFunction('codeAutomationLog', (_type: string, parts: unknown[]) => {
          log.push(format(...parts));
        });
        await page.exposeFunction('codeAutomationExit', (code: number) => finish(code));
      },
      query: (port) => {
        const extension = `vscode-remote://127.0.0.1:${port}${environment.extension}`;
        const payload = [
          ['extensionDevelopmentPath', extension],
          ['extensionTestsPath', `${extension}/dist/test/suite/index.js`],
        ];
        return `&payload=${encodeURIComponent(JSON.stringify(payload))}`;
      },
    });
    try {
      const code = await exitCode;
      await editor.screenshot('extension-host-suite');
      const report = log
        .filter((line) => /^\s+(✔|\d+\)|\d+ (passing|failing|pending))|AssertionError/.test(line))
        .join('\n');
      console.log(report);
      expect(code, report).toBe(0);
      expect(report).toMatch(/[1-9]\d* passing/);
    } finally {
      await editor.close();
    }
  });
});

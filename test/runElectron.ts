/** Runs test/suite in desktop VS Code, where it can be had: VSCODE_EXECUTABLE names one, else it is downloaded. */
import { mkdtemp, rm, cp } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { downloadAndUnzipVSCode, runTests } from '@vscode/test-electron';

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

const DOWNLOAD_TIMEOUT_MS = 20_000;

/** @param root the repository, built. */
export async function runDesktopSuite(root: string): Promise<Counts> {
  const executable = await desktopVsCode(root);
  if (executable.path === null) {
    console.log(`SKIP desktop VS Code: ${executable.reason}; name one with VSCODE_EXECUTABLE to run this part.`);
    return { passed: 0, failed: 0, skipped: 1 };
  }
  const directory = await mkdtemp(path.join(os.tmpdir(), 'specdiff-desktop-'));
  try {
    const workspace = path.join(directory, 'workspace');
    await cp(path.join(root, 'test/fixtures/sample-workspace'), workspace, { recursive: true });
    const code = await runTests({
      vscodeExecutablePath: executable.path,
      extensionDevelopmentPath: root,
      extensionTestsPath: path.join(root, 'dist/test/suite/index.js'),
      launchArgs: [
        workspace,
        '--no-sandbox',
        '--disable-gpu',
        '--disable-workspace-trust',
        '--disable-extensions',
        `--user-data-dir=${path.join(directory, 'user')}`,
      ],
    });
    return code === 0 ? { passed: 1, failed: 0, skipped: 0 } : { passed: 0, failed: 1, skipped: 0 };
  } catch (error) {
    console.error(`The suite failed in desktop VS Code: ${error instanceof Error ? error.message : String(error)}`);
    return { passed: 0, failed: 1, skipped: 0 };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function desktopVsCode(root: string): Promise<{ path: string } | { path: null; reason: string }> {
  const named = process.env['VSCODE_EXECUTABLE'];
  if (named !== undefined && named !== '') return { path: named };
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('no answer in time')), DOWNLOAD_TIMEOUT_MS);
  });
  try {
    const download = downloadAndUnzipVSCode({ cachePath: path.join(root, 'build/vscode'), timeout: 10_000 });
    // What comes of a download nobody waits for any more is of no interest.
    download.catch(() => undefined);
    return { path: await Promise.race([download, late]) };
  } catch (error) {
    return {
      path: null,
      reason: `it can't be downloaded here (${error instanceof Error ? error.message : String(error)})`,
    };
  } finally {
    clearTimeout(timer);
  }
}

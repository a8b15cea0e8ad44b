// Runs test/suite in desktop VS Code, where it can be had: VSCODE_EXECUTABLE names one, else it is downloaded.
import { cp, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { ROOT } from './build.mjs';
import { isMain, runMain } from './process.mjs';

const DOWNLOAD_TIMEOUT_MS = 20_000;

/** The suite counts as one test here; its own report goes to the console. Needs a build. */
export async function runDesktopSuite() {
  const { executable, reason } = await desktopVsCode();
  if (executable === null) {
    console.log(`SKIP desktop VS Code: ${reason}; name one with VSCODE_EXECUTABLE to run this part.`);
    return { passed: 0, failed: 0, skipped: 1 };
  }
  const { runTests } = await import('@vscode/test-electron');
  const directory = await mkdtemp(path.join(os.tmpdir(), 'specdiff-desktop-'));
  try {
    const workspace = path.join(directory, 'workspace');
    await cp(path.join(ROOT, 'test/fixtures/sample-workspace'), workspace, { recursive: true });
    await runTests({
      vscodeExecutablePath: executable,
      extensionDevelopmentPath: ROOT,
      extensionTestsPath: path.join(ROOT, 'dist/test/suite/index.js'),
      launchArgs: [
        workspace,
        '--no-sandbox',
        '--disable-gpu',
        '--disable-workspace-trust',
        '--disable-extensions',
        `--user-data-dir=${path.join(directory, 'user')}`,
      ],
    });
    return { passed: 1, failed: 0, skipped: 0 };
  } catch (error) {
    console.error(`The suite failed in desktop VS Code: ${error instanceof Error ? error.message : String(error)}`);
    return { passed: 0, failed: 1, skipped: 0 };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function desktopVsCode() {
  const named = process.env.VSCODE_EXECUTABLE;
  if (named) return { executable: named, reason: null };
  const screen = process.platform !== 'linux' || process.env.DISPLAY || process.env.WAYLAND_DISPLAY;
  if (!screen) return { executable: null, reason: 'this machine has no screen (xvfb-run gives it one)' };
  const { downloadAndUnzipVSCode } = await import('@vscode/test-electron');
  let timer;
  const late = new Promise((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('no answer in time')), DOWNLOAD_TIMEOUT_MS);
  });
  try {
    const download = downloadAndUnzipVSCode({ cachePath: path.join(ROOT, 'build/vscode'), timeout: 10_000 });
    // What comes of a download that nobody waits for any more is of no interest.
    download.catch(() => {});
    return { executable: await Promise.race([download, late]), reason: null };
  } catch (error) {
    return { executable: null, reason: `it can't be downloaded here (${error.message})` };
  } finally {
    clearTimeout(timer);
  }
}

if (isMain(import.meta.url)) {
  runMain(async () => {
    const { failed } = await runDesktopSuite();
    if (failed > 0) throw new Error('The suite failed in desktop VS Code; its report stands above.');
  });
}

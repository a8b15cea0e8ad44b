// What the end-to-end tests need beside the build: a Chromium and the VS Code server.
import path from 'node:path';
import { ensureChromium } from '../../../scripts/chromium.mjs';
import { ensureVsCodeServer, type InstalledServer } from '../../../scripts/vscode-server.mjs';

export interface Environment {
  /** The clone. */
  readonly root: string;
  readonly chromium: string;
  readonly server: InstalledServer;
  /** Folder of the unpacked extension under test. */
  readonly extension: string;
  /** Packaged extension to test instead, from SPECDIFF_VSIX. */
  readonly vsix: string | null;
}

/** The environment, or the reason why there is none. Installs the VS Code server where it is missing. */
export async function findEnvironment(root: string): Promise<Environment | { readonly reason: string }> {
  const chromium = await ensureChromium();
  if (chromium.path === null) return { reason: chromium.reason };
  try {
    const server = await ensureVsCodeServer(root);
    const vsix = process.env['SPECDIFF_VSIX'];
    return {
      root,
      chromium: chromium.path,
      server,
      extension: process.env['SPECDIFF_EXTENSION'] ?? root,
      vsix: vsix === undefined || vsix === '' ? null : path.resolve(vsix),
    };
  } catch (error) {
    return { reason: error instanceof Error ? error.message : String(error) };
  }
}

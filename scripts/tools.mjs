// Formatters and linters that pip ships as binaries, pinned, in a virtual environment inside the clone.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { run } from './process.mjs';
import { onlyWhenChanged } from './stamp.mjs';

const PINNED = ['clang-format==20.1.8', 'clang-tidy==22.1.8', 'ruff==0.17.6'];

/** Folder with the tools' executables; null with a reason printed where Python can't make an environment. */
export async function ensureTools(root) {
  const environment = path.join(root, 'build/tools');
  const windows = process.platform === 'win32';
  const bin = path.join(environment, windows ? 'Scripts' : 'bin');
  const program = (name) => path.join(bin, windows ? `${name}.exe` : name);
  try {
    await onlyWhenChanged(path.join(environment, 'installed.stamp'), PINNED.join(' '), [program('ruff')], async () => {
      // Without pip it was left half made: Debian's Python makes one so where python3-venv is missing.
      if (!existsSync(program('pip')))
        await run(windows ? 'python' : 'python3', ['-m', 'venv', '--clear', environment]);
      await run(program('pip'), ['install', '--quiet', '--disable-pip-version-check', ...PINNED]);
    });
    return bin;
  } catch (error) {
    console.log(`SKIP C++ and Python linters: ${error.message}`);
    return null;
  }
}

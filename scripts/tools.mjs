// Formatters and linters that pip ships as binaries, pinned, in a virtual environment inside the clone.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { run } from './process.mjs';
import { onlyWhenChanged } from './stamp.mjs';

const PINNED = ['clang-format==20.1.8', 'clang-tidy==22.1.8', 'ruff==0.17.6'];

/** Folder with the tools' executables; null with a reason printed where Python can't make an environment. */
export async function ensureTools(root) {
  const environment = path.join(root, 'build/tools');
  const bin = path.join(environment, process.platform === 'win32' ? 'Scripts' : 'bin');
  try {
    await onlyWhenChanged(
      path.join(environment, 'installed.stamp'),
      PINNED.join(' '),
      [path.join(bin, 'ruff')],
      async () => {
        const python = process.platform === 'win32' ? 'python' : 'python3';
        if (!existsSync(bin)) await run(python, ['-m', 'venv', environment]);
        await run(path.join(bin, 'pip'), ['install', '--quiet', '--disable-pip-version-check', ...PINNED]);
      },
    );
    return bin;
  } catch (error) {
    console.log(`SKIP C++ and Python linters: ${error.message}`);
    return null;
  }
}

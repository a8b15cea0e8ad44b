/** What a process that was killed left behind. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isAlive } from '../alive';

/** Removes what has the name of a process that is gone in it; nothing where the folder is missing or can't be read. */
export async function removeLeftOver(folder: string, name: RegExp): Promise<void> {
  for (const entry of await readdir(folder).catch(() => [])) {
    const pid = Number(name.exec(entry)?.[1]);
    if (Number.isInteger(pid) && !isAlive(pid))
      await rm(join(folder, entry), { recursive: true, force: true }).catch(() => {});
  }
}

/** Files that are there whole or not at all: written under a `.part` name and renamed when they are complete. */
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { removeLeftOver } from './left-over';

/**
 * Nothing is left behind when it fails; what the disk says is told with what to do next.
 * @param write writes the file it is given, whole
 */
export async function putFile(to: string, write: (part: string) => Promise<void>): Promise<void> {
  const part = `${to}.${process.pid}.part`;
  try {
    await mkdir(dirname(to), { recursive: true });
    await removeLeftOver(dirname(to), /\.(\d+)\.part$/);
    await write(part);
    await rename(part, to);
  } catch (error) {
    // A folder that can't be written to has nothing to remove either.
    await rm(part, { force: true }).catch(() => {});
    throw explained(error, to);
  }
}

export function putText(to: string, text: string): Promise<void> {
  return putFile(to, (part) => writeFile(part, text));
}

function explained(error: unknown, to: string): unknown {
  switch (error instanceof Error && 'code' in error ? error.code : undefined) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new Error(`The disk is full: ${to} could not be written. Free some space, then try again.`);
    case 'EFBIG':
      return new Error(`${to} is larger than its disk or your limits allow; raise the limit, then try again.`);
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
    case 'ENOTDIR':
    case 'EEXIST':
      return new Error(`${to} may not be written; see that its folder is one and is yours, then try again.`);
    default:
      return error;
  }
}

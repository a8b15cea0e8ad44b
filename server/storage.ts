/** Where the server keeps what outlives updates, when no client names a folder. */
import { homedir } from 'node:os';
import { join } from 'node:path';

export function defaultStorageDirectory(): string {
  if (process.platform === 'win32') return join(process.env['LOCALAPPDATA'] ?? homedir(), 'specdiff');
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'specdiff');
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'specdiff');
}

/**
 * Engines of other windows on this machine: each running engine has a file named by its process in the storage folder.
 * The folder is watched; files of processes that are gone are removed.
 */
import { mkdirSync, readdirSync, rmSync, watch, writeFileSync, type FSWatcher } from 'node:fs';
import { join } from 'node:path';
import { isAlive } from '../alive';

export class OtherEngines {
  private readonly folder: string;
  private watcher: FSWatcher | null = null;
  private own: number | null = null;

  constructor(
    storageDirectory: string,
    private readonly onCount: (count: number) => void,
    private readonly log: (text: string) => void,
  ) {
    this.folder = join(storageDirectory, 'engines');
  }

  start(): void {
    this.attempt(() => {
      mkdirSync(this.folder, { recursive: true });
      this.watcher = watch(this.folder, { persistent: false }, () => this.count());
      this.watcher.on('error', () => this.watcher?.close());
    });
    this.count();
  }

  /** Tells the other windows about this window's engine; null when it has ended. */
  announce(pid: number | null): void {
    this.attempt(() => {
      if (this.own !== null) rmSync(this.file(this.own), { force: true });
      this.own = pid;
      if (pid !== null) writeFileSync(this.file(pid), '');
    });
    this.count();
  }

  dispose(): void {
    this.watcher?.close();
    this.watcher = null;
    this.announce(null);
  }

  private count(): void {
    this.attempt(() => {
      const pids = readdirSync(this.folder)
        .map((name) => Number(/^(\d+)\.engine$/.exec(name)?.[1]))
        .filter((pid) => Number.isInteger(pid) && pid !== this.own);
      const alive = pids.filter(isAlive);
      for (const pid of pids) if (!alive.includes(pid)) rmSync(this.file(pid), { force: true });
      this.onCount(alive.length);
    });
  }

  private file(pid: number): string {
    return join(this.folder, `${pid}.engine`);
  }

  /** Knowing the neighbours is a courtesy: without a writable storage folder it is left out. */
  private attempt(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.log(`Other windows' engines are not known: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

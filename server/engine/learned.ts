/**
 * What engines have learned about costs and drafts, kept in the storage folder, so that a fresh one does not learn again
 * by losing. Keyed by everything that the times and chances depend on.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { arch, cpus } from 'node:os';
import { dirname } from 'node:path';
import type { EngineLoadOptions } from '../../protocol/messages';

interface Device extends Pick<EngineLoadOptions, 'targetPath' | 'drafterPath' | 'cpuLibrary' | 'backend' | 'threads'> {
  /** Sizes and times of the model files: hashing gigabytes at each start would take longer than learning. */
  readonly stamps: string;
}

interface Entry {
  readonly state: string;
  readonly usedAt: number;
}

/** Models, settings and machines on one home that are remembered; the ones used last stay. */
const MOST_ENTRIES = 32;

export class LearnedStore {
  /** One write after the other. */
  private writing: Promise<void> = Promise.resolve();

  constructor(
    private readonly file: string,
    private readonly warn: (text: string) => void,
  ) {}

  key({ targetPath, drafterPath, stamps, cpuLibrary, backend, threads }: Device): string {
    const device = [arch(), cpus()[0]?.model ?? '', cpus().length, cpuLibrary, backend, threads];
    return createHash('sha256')
      .update(JSON.stringify([targetPath, drafterPath, stamps, device]))
      .digest('hex');
  }

  async recall(key: string): Promise<string | null> {
    return (await this.read())[key]?.state ?? null;
  }

  /** Never rejects: without it the next engine only learns again. */
  remember(key: string, state: string): Promise<void> {
    this.writing = this.writing.then(async () => {
      try {
        const all = { ...(await this.read()), [key]: { state, usedAt: Date.now() } };
        const kept = Object.entries(all).sort(([, a], [, b]) => b.usedAt - a.usedAt);
        await mkdir(dirname(this.file), { recursive: true });
        const part = `${this.file}.${process.pid}.part`;
        await writeFile(part, JSON.stringify(Object.fromEntries(kept.slice(0, MOST_ENTRIES)), null, 2));
        await rename(part, this.file);
      } catch (error) {
        this.warn(
          `What the engine learned about its speed could not be kept (${error instanceof Error ? error.message : String(error)}).`,
        );
      }
    });
    return this.writing;
  }

  private async read(): Promise<Record<string, Entry>> {
    let parsed: unknown;
    try {
      parsed = JSON.parse(await readFile(this.file, 'utf8'));
    } catch {
      return {}; // absent, or cut off by a crash: learned anew
    }
    if (typeof parsed !== 'object' || parsed === null) return {};
    return Object.fromEntries(Object.entries(parsed).filter((pair): pair is [string, Entry] => isEntry(pair[1])));
  }
}

function isEntry(value: unknown): value is Entry {
  return (
    typeof value === 'object' &&
    value !== null &&
    'state' in value &&
    typeof value.state === 'string' &&
    'usedAt' in value &&
    typeof value.usedAt === 'number'
  );
}

/**
 * What probing has shown, kept in the storage folder: which CPU libraries run on this CPU, and which trap.
 * Keyed by CPU and by the library's content, so that an update or another machine on the same home is probed anew.
 */
import { createHash } from 'node:crypto';
import { readFile, readdir, stat } from 'node:fs/promises';
import { cpus, arch } from 'node:os';
import { join } from 'node:path';
import { putText } from '../files/put';
import type { CpuLibrary } from './addon';

export type Verdict = 'good' | 'bad';

interface Stored {
  readonly verdicts: Record<string, Verdict>;
  readonly listings: Record<string, readonly CpuLibrary[]>;
}

export class VerdictStore {
  private cpu: Promise<string> | null = null;

  /** What the disk did not take. */
  private unwritten: Stored | null = null;

  constructor(
    private readonly file: string,
    private readonly log: (text: string) => void,
  ) {}

  async verdict(nativeDirectory: string, library: string): Promise<Verdict | undefined> {
    return (await this.read()).verdicts[await this.key(nativeDirectory, library)];
  }

  async remember(nativeDirectory: string, library: string, verdict: Verdict): Promise<void> {
    const stored = await this.read();
    stored.verdicts[await this.key(nativeDirectory, library)] = verdict;
    await this.write(stored);
  }

  /** The libraries' order as probed before, while the folder holds the same files. */
  async listing(nativeDirectory: string): Promise<readonly CpuLibrary[] | undefined> {
    return (await this.read()).listings[await this.listingKey(nativeDirectory)];
  }

  async rememberListing(nativeDirectory: string, libraries: readonly CpuLibrary[]): Promise<void> {
    const stored = await this.read();
    stored.listings[await this.listingKey(nativeDirectory)] = libraries;
    await this.write(stored);
  }

  private async key(nativeDirectory: string, library: string): Promise<string> {
    const content = await readFile(join(nativeDirectory, library));
    return `${await this.cpuKey()} ${library} ${content.length} ${createHash('sha256').update(content).digest('hex')}`;
  }

  private async listingKey(nativeDirectory: string): Promise<string> {
    const names = (await readdir(nativeDirectory)).sort();
    const hash = createHash('sha256');
    for (const name of names) {
      const { size, mtimeMs } = await stat(join(nativeDirectory, name));
      hash.update(`${name} ${size} ${mtimeMs}\n`);
    }
    return `${await this.cpuKey()} ${hash.digest('hex')}`;
  }

  /** The model name alone is coarse on virtual machines, where the announced features differ: they are part of the key. */
  private cpuKey(): Promise<string> {
    this.cpu ??= readFile('/proc/cpuinfo', 'utf8').then(
      (text) => cpuName(/^(?:flags|Features)\s*:.*$/m.exec(text)?.[0] ?? ''),
      () => cpuName(''),
    );
    return this.cpu;
  }

  private async read(): Promise<Stored> {
    if (this.unwritten !== null) return this.unwritten;
    let parsed: unknown;
    try {
      parsed = JSON.parse(await readFile(this.file, 'utf8'));
    } catch {
      parsed = null; // absent, or cut off by a crash: probed anew
    }
    return isStored(parsed) ? parsed : { verdicts: {}, listings: {} };
  }

  private async write(stored: Stored): Promise<void> {
    try {
      await putText(this.file, JSON.stringify(stored, null, 2));
      this.unwritten = null;
    } catch (error) {
      // Remembered while we run: the next start probes anew, which costs a second and no completion.
      this.unwritten = stored;
      this.log(error instanceof Error ? error.message : String(error));
    }
  }
}

function cpuName(features: string): string {
  const digest = createHash('sha256').update(features).digest('hex').slice(0, 12);
  return `${arch()} ${cpus()[0]?.model ?? 'unknown'} ${digest}`;
}

function isStored(value: unknown): value is Stored {
  return (
    typeof value === 'object' &&
    value !== null &&
    'verdicts' in value &&
    typeof value.verdicts === 'object' &&
    value.verdicts !== null &&
    'listings' in value &&
    typeof value.listings === 'object' &&
    value.listings !== null
  );
}

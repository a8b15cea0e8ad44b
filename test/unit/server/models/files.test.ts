import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CATALOGUE, defaultTarget } from '../../../../server/models/catalogue';
import { writeModelFile } from '../../../../server/models/copy';
import { readGgufHead, refusalOf } from '../../../../server/models/gguf';
import { NoModelError, resolveModels } from '../../../../server/models/resolve';
import { importModel } from '../../../../server/models/import';
import { engineMissing, TARGET } from '../support/product';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'specdiff-files-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));
const never = new AbortController().signal;
const SETTINGS = { targetPath: '', drafterPath: '' };

describe('the catalogue', () => {
  it('names one default, with everything that the check of its file needs', () => {
    expect(CATALOGUE.filter((entry) => entry.default)).toHaveLength(1);
    for (const entry of CATALOGUE) {
      expect(entry.sha256).toMatch(/^[0-9a-f]{64}$/);
      expect(entry.file).toMatch(/^[\w.-]+\.gguf$/);
      expect(entry.source.member.endsWith(entry.file)).toBe(true);
    }
  });
});

describe('writeModelFile', () => {
  const sha256 = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'; // of "abc"
  it('writes what is right, under its name only when it is whole', async () => {
    const to = join(folder, 'deep/a.gguf');
    const seen: number[] = [];
    await writeModelFile(
      Readable.from([Buffer.from('ab'), Buffer.from('c')]),
      to,
      { bytes: 3, sha256 },
      (n) => seen.push(n),
      never,
    );
    expect(await readFile(to, 'utf8')).toBe('abc');
    expect(seen).toEqual([2, 3]);
    expect(await readdir(join(folder, 'deep'))).toEqual(['a.gguf']);
  });
  it('leaves nothing behind of what is wrong or cancelled', async () => {
    const to = join(folder, 'a.gguf');
    const write = (text: string, signal: AbortSignal) =>
      writeModelFile(Readable.from([Buffer.from(text)]), to, { bytes: 3, sha256 }, () => {}, signal);
    await expect(write('abd', never)).rejects.toThrow(/not the expected one/);
    await expect(write('abc', AbortSignal.abort())).rejects.toThrow();
    expect(await readdir(folder)).toEqual([]);
  });
});

describe('resolveModels', () => {
  const folders = () => ({ extensionRoot: join(folder, 'root'), storageDirectory: join(folder, 'storage') });
  it('prefers the setting, then the imported, then the bundled target', async () => {
    await expect(resolveModels(SETTINGS, folders())).rejects.toThrow(NoModelError);
    const cache = join(folder, 'root/models/cache');
    await mkdir(cache, { recursive: true });
    const bundled = join(cache, defaultTarget().file);
    await writeFile(bundled, 'x');
    expect((await resolveModels(SETTINGS, folders())).targetPath).toBe(bundled);
    const mine = join(folder, 'mine.gguf');
    await writeFile(mine, Buffer.concat([Buffer.from('GGUF'), Buffer.from([3, 0, 0, 0]), Buffer.alloc(16)]));
    const description = { name: 'mine' } as never;
    // What imports left behind: one whose process was killed, one that is still going on.
    const gone = spawnSync(process.execPath, ['--version']).pid;
    const models = join(folders().storageDirectory, 'models');
    await mkdir(models, { recursive: true });
    for (const pid of [gone, process.ppid]) await writeFile(join(models, `big.gguf.${pid}.part`), 'half');
    await importModel(
      mine,
      folders().storageDirectory,
      () => Promise.resolve(description),
      () => {},
      never,
    );
    expect((await readdir(models)).sort()).toEqual([`big.gguf.${process.ppid}.part`, 'imported.json', 'mine.gguf']);
    expect((await resolveModels(SETTINGS, folders())).targetPath).toBe(join(folder, 'storage/models/mine.gguf'));
    expect((await resolveModels({ ...SETTINGS, targetPath: mine }, folders())).targetPath).toBe(mine);
    await expect(resolveModels({ ...SETTINGS, targetPath: join(folder, 'no.gguf') }, folders())).rejects.toThrow(
      /not there/,
    );
    await expect(resolveModels({ targetPath: mine, drafterPath: '/no.gguf' }, folders())).rejects.toThrow(/drafter/);
  });
});

describe('readGgufHead', () => {
  it('refuses what is no GGUF file', async () => {
    const path = join(folder, 'a.gguf');
    await expect(readGgufHead(path)).rejects.toThrow(/could not be read/);
    await writeFile(path, 'GGUF');
    await expect(readGgufHead(path)).rejects.toThrow(/not a GGUF/);
    await writeFile(path, Buffer.concat([Buffer.from('GGUF'), Buffer.from([9, 0, 0, 0]), Buffer.alloc(16)]));
    await expect(readGgufHead(path)).rejects.toThrow(/version 9/);
  });
  it.skipIf(engineMissing() !== null)('reads the default target’s architecture', async () => {
    expect(await readGgufHead(TARGET)).toEqual({ version: 3, architecture: 'llama' });
  });
  it('knows what cannot be a target', () => {
    expect(refusalOf('dflash')).toMatch(/dflash/);
    expect(refusalOf('llama')).toBeNull();
    expect(refusalOf(null)).toBeNull();
  });
});

import { readFile, rm, writeFile } from 'node:fs/promises';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LearnedStore } from '../../../../server/engine/learned';

let folder: string;
const warnings: string[] = [];
const store = (file = join(folder, 'storage/learned.json')) => new LearnedStore(file, (text) => warnings.push(text));
const device = () =>
  ({
    targetPath: join(folder, 'target'),
    drafterPath: null,
    stamps: '7/1',
    cpuLibrary: 'a.so',
    backend: 'cpu',
    threads: 1,
  }) as const;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'specdiff-learned-'));
  await writeFile(join(folder, 'target'), 'weights');
  warnings.length = 0;
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('what engines have learned', () => {
  it('is there for the next one with the same files on the same device', async () => {
    const key = store().key(device());
    expect(await store().recall(key)).toBeNull();
    await store().remember(key, 'one');
    await store().remember(key, 'two');
    expect(await store().recall(key)).toBe('two');
    expect(store().key(device())).toBe(key);
  });

  it('is kept apart by model file, drafter, CPU library and threads', () => {
    const keys = [
      store().key(device()),
      store().key({ ...device(), threads: 2 }),
      store().key({ ...device(), cpuLibrary: 'b.so' }),
      store().key({ ...device(), drafterPath: join(folder, 'target') }),
      store().key({ ...device(), stamps: '7/2' }),
    ];
    expect(new Set(keys).size).toBe(keys.length);
  });

  it('forgets the longest unused, and survives several writers in a row', async () => {
    const shared = store();
    await Promise.all(Array.from({ length: 40 }, (_, i) => shared.remember(`key ${i}`, `state ${i}`)));
    expect(await shared.recall('key 39')).toBe('state 39');
    const kept: unknown = JSON.parse(await readFile(join(folder, 'storage/learned.json'), 'utf8'));
    expect(Object.keys(kept as object)).toHaveLength(32);
  });

  it('starts afresh from a damaged file, and goes on without one that can’t be written', async () => {
    const file = join(folder, 'learned.json');
    for (const damage of ['{"key": {"sta', '[1, 2]', '{"key": 5}', 'null']) {
      await writeFile(file, damage);
      expect(await store(file).recall('key')).toBeNull();
    }
    await store(join(folder, 'target/learned.json')).remember('key', 'state');
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/could not be kept/);
  });
});

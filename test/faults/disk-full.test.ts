/** A disk that takes no more: /dev/full answers every write as a full disk does. */
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { LanguageServerClient } from '../unit/server/support/language-client';
import { bundleServer, engineMissing, named, TARGET } from '../unit/server/support/product';

const FULL = '/dev/full';
const URI = 'file:///work/a.py';
const PLACE = { uri: URI, position: { line: 1, character: 11 } };
const FILE = 'mine.gguf';

describe.skipIf(engineMissing() !== null || !existsSync(FULL))(
  `${named('a full disk')}${existsSync(FULL) ? '' : ` [SKIP: there is no ${FULL}]`}`,
  () => {
    let folder: string;
    let storage: string;
    let client: LanguageServerClient;
    beforeAll(async () => {
      await bundleServer();
      folder = await mkdtemp(join(tmpdir(), 'specdiff-full-'));
      storage = join(folder, 'storage');
      await copyFile(TARGET, join(folder, FILE));
    });
    afterAll(() => rm(folder, { recursive: true, force: true }));
    beforeEach(async () => {
      client = await LanguageServerClient.start({ storageDirectory: storage, settings: { maxTokens: 4 } });
      await client.open(URI, 'def f(a):\n    return a');
    });
    afterEach(() => client.stop());

    /** What the server writes for that file of its storage, from now on and once, goes to the full disk. */
    const fill = async (name: string): Promise<void> => {
      await mkdir(join(storage, 'models'), { recursive: true });
      await symlink(FULL, join(storage, `${name}.${client.process.pid}.part`));
    };

    for (const name of [`models/${FILE}`, 'models/imported.json']) {
      it(`ends an import while it writes ${name} in one sentence, and nothing else`, async () => {
        await fill(name);
        const result = await client.importModel(join(folder, FILE));
        expect(result.ok).toBe(false);
        expect(result.message).toBe(
          `The disk is full: ${join(storage, name)} could not be written. Free some space, then try again.`,
        );
        expect((await readdir(join(storage, 'models'))).filter((file) => file.endsWith('.part'))).toEqual([]);
        expect((await client.complete(PLACE)).outcome).toBe('done');
        expect(client.states.at(-1)!.loaded!.target.path).toBe(TARGET);
        expect((await client.importModel(join(folder, FILE))).ok).toBe(true);
        await rm(join(storage, 'models'), { recursive: true });
      });
    }

    it('costs no completion where what is remembered between starts can’t be written', async () => {
      await rm(join(storage, 'cpu-libraries.json'), { force: true });
      await fill('cpu-libraries.json');
      expect(await client.complete(PLACE)).toMatchObject({ outcome: 'done' });
      expect(client.logs.join('\n')).toMatch(/disk is full: .*cpu-libraries\.json/);
      expect(client.messages).toEqual([]);
    });
  },
);

describe.skipIf(engineMissing() !== null)(named('a storage folder that can’t be made'), () => {
  it('costs no completion, and an import one sentence', async () => {
    await bundleServer();
    const folder = await mkdtemp(join(tmpdir(), 'specdiff-storage-'));
    const storageDirectory = join(folder, 'storage');
    await writeFile(storageDirectory, 'a file in its place');
    await copyFile(TARGET, join(folder, FILE));
    const client = await LanguageServerClient.start({ storageDirectory, settings: { maxTokens: 4 } });
    await client.open(URI, 'def f(a):\n    return a');
    expect(await client.complete(PLACE)).toMatchObject({ outcome: 'done' });
    const result = await client.importModel(join(folder, FILE));
    expect(result).toMatchObject({ ok: false });
    expect(result.message).toMatch(/storage\/models\/mine\.gguf may not be written; .*try again\.$/);
    expect(client.messages).toEqual([]);
    await client.stop();
    await rm(folder, { recursive: true });
  });
});

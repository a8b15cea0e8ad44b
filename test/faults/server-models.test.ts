import { copyFile, mkdtemp, open, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { LanguageServerClient } from '../unit/server/support/language-client';
import { bundleServer, engineMissing, named, ROOT, TARGET } from '../unit/server/support/product';

const URI = 'file:///work/a.py';
const PLACE = { uri: URI, position: { line: 1, character: 11 } };

/** A GGUF head that names an architecture and nothing else. */
function ggufHead(architecture: string): Buffer {
  const text = (value: string): Buffer => {
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(value.length));
    return Buffer.concat([length, Buffer.from(value)]);
  };
  const head = Buffer.alloc(24);
  head.write('GGUF');
  head.writeUInt32LE(3, 4);
  head.writeBigUInt64LE(0n, 8);
  head.writeBigUInt64LE(1n, 16);
  const type = Buffer.alloc(4);
  type.writeUInt32LE(8);
  return Buffer.concat([head, text('general.architecture'), type, text(architecture)]);
}

describe.skipIf(engineMissing() !== null)(named('model files that are not what they should be'), () => {
  let folder: string;
  let client: LanguageServerClient;
  const file = (name: string): string => join(folder, name);
  beforeAll(async () => {
    await bundleServer();
    folder = await mkdtemp(join(tmpdir(), 'specdiff-models-'));
    await copyFile(TARGET, file('truncated.gguf'));
    await truncate(file('truncated.gguf'), 20_000_000);
    await writeFile(file('text.gguf'), 'this is no model');
    await writeFile(file('bert.gguf'), ggufHead('bert'));
    await writeFile(file('unknown.gguf'), ggufHead('neverheardof'));
    await writeFile(file('empty.gguf'), '');
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));
  beforeEach(async () => {
    client = await LanguageServerClient.start({
      storageDirectory: join(folder, 'storage'),
      settings: { maxTokens: 4 },
    });
    await client.open(URI, 'def f(a):\n    return a');
  });
  afterEach(() => client.stop());

  it('says that a missing one is missing', async () => {
    await client.settings({ targetPath: file('nowhere.gguf') });
    const result = await client.complete(PLACE);
    expect(result).toMatchObject({ outcome: 'failed', text: '' });
    expect(result.message).toMatch(/nowhere\.gguf is not there/);
    expect(client.state).toBe('noModel');
  });

  it('says so where it goes missing while another is loaded, and is ready again when it is corrected', async () => {
    expect((await client.complete(PLACE)).outcome).toBe('done');
    await client.settings({ drafterPath: file('nowhere.gguf'), maxTokens: 4 });
    const result = await client.complete({ ...PLACE, requestId: 2 });
    expect(result.message).toMatch(/nowhere\.gguf is not there/);
    expect(client.state).toBe('error');
    expect(client.messages).toMatchObject([{ level: 'error', message: result.message }]);
    await client.settings({ maxTokens: 4 });
    await client.until(() => client.state === 'ready');
    // Nor does a job that still runs make it look ready.
    const running = client.complete({ ...PLACE, requestId: 9 });
    await client.settings({ targetPath: file('nowhere.gguf') });
    await running;
    await client.until(() => client.state === 'noModel');
    await client.settings({ maxTokens: 4 });
    expect((await client.complete({ ...PLACE, requestId: 3 })).outcome).toBe('done');
  });

  it('offers the import where no model is installed at all, before anything is asked for', async () => {
    const bare = await LanguageServerClient.start({ storageDirectory: file('bare'), extensionRoot: file('bare-root') });
    await bare.until(() => bare.state === 'noModel');
    expect((await bare.importModel(file('text.gguf'))).ok).toBe(false);
    expect(bare.state).toBe('noModel');
    await bare.open(URI, 'def f(a):\n    return a');
    expect((await bare.complete(PLACE)).message).toMatch(/Import a model file/);
    expect(bare.state).toBe('noModel');
    await bare.stop();
  });

  for (const name of ['truncated', 'text', 'bert', 'unknown', 'empty']) {
    it(`refuses a ${name} file in one sentence, without losing the engine, and takes the right one afterwards`, async () => {
      await client.settings({ targetPath: file(`${name}.gguf`), maxTokens: 4 });
      const result = await client.complete(PLACE);
      expect(result.outcome).toBe('failed');
      expect(result.message).not.toMatch(/ended unexpectedly/);
      expect(result.message!.length).toBeGreaterThan(20);
      expect(client.state).toBe('error');
      // Asked again, it is not loaded again.
      const starts = client.states.filter(({ engine }) => engine.state === 'starting').length;
      expect((await client.complete({ ...PLACE, requestId: 2 })).message).toBe(result.message);
      expect(client.states.filter(({ engine }) => engine.state === 'starting')).toHaveLength(starts);
      expect(client.messages).toHaveLength(1);
      await client.settings({ maxTokens: 4 });
      expect((await client.complete({ ...PLACE, requestId: 3 })).outcome).toBe('done');
    });

    it(`does not import a ${name} file`, async () => {
      const result = await client.importModel(file(`${name}.gguf`));
      expect(result.ok).toBe(false);
      expect(result.message).not.toMatch(/ended unexpectedly/);
      expect((await client.complete(PLACE)).outcome).toBe('done');
    });
  }

  it('imports a right one and uses it from then on', async () => {
    await copyFile(TARGET, file('mine.gguf'));
    const result = await client.importModel(file('mine.gguf'));
    expect(result).toMatchObject({ ok: true });
    expect((await client.complete(PLACE)).outcome).toBe('done');
    const imported = join(folder, 'storage/models/mine.gguf');
    expect(client.states.at(-1)!.loaded!.target.path).toBe(imported);

    // Under the same name once more, with a completion in between that begins an engine with the file of before.
    const told = client.states.length;
    const importing = client.importModel(file('mine.gguf'));
    await client.until(() => client.states.slice(told).some(({ engine }) => engine.state === 'importing'));
    await client.complete({ ...PLACE, requestId: 2 });
    expect(await importing).toMatchObject({ ok: true });
    await client.until(() => client.state === 'idle');
    const starts = () => client.states.filter(({ engine }) => engine.state === 'starting').length;
    const before = starts();
    expect((await client.complete({ ...PLACE, requestId: 3 })).outcome).toBe('done');
    expect(starts()).toBe(before + 1);
    // Nor is one served on that was replaced by hand.
    await utimes(imported, new Date(), new Date());
    expect((await client.complete({ ...PLACE, requestId: 4 })).outcome).toBe('done');
    expect(starts()).toBe(before + 2);
  });

  it('goes on without a drafter that does not belong to the target, and says why', async () => {
    const handle = await open(file('other.dflash.gguf'), 'w');
    await handle.writeFile(ggufHead('dflash'));
    await handle.close();
    for (const drafterPath of [file('other.dflash.gguf'), join(ROOT, 'package.json')]) {
      await client.settings({ drafterPath, maxTokens: 4 });
      const result = await client.complete(PLACE);
      expect(result.outcome, result.message).toBe('done');
      const loaded = client.states.at(-1)!.loaded!;
      expect(loaded.drafter).toBeNull();
      expect(loaded.drafterNote!.length).toBeGreaterThan(20);
    }
  });
});

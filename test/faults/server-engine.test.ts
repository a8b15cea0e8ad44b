import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { LanguageServerClient } from '../unit/server/support/language-client';
import { bundleServer, engineMissing, named, NATIVE, ROOT } from '../unit/server/support/product';

const URI = 'file:///work/story.md';
const PLACE = { uri: URI, position: { line: 0, character: 28 } };

/** The running engine's process, as it announces itself to other windows. */
async function enginePid(storage: string): Promise<number> {
  const names = await readdir(join(storage, 'engines'));
  expect(names).toHaveLength(1);
  return Number.parseInt(names[0]!, 10);
}

describe.skipIf(engineMissing() !== null)(named('a server whose engine ends unexpectedly'), () => {
  let storage: string;
  let client: LanguageServerClient;
  beforeAll(bundleServer);
  beforeEach(async () => {
    storage = await mkdtemp(join(tmpdir(), 'specdiff-faults-'));
    client = await LanguageServerClient.start({ storageDirectory: storage, settings: { maxTokens: 256 } });
    await client.open(URI, 'Once upon a time there was a', 'markdown');
  });
  afterEach(async () => {
    await client.stop();
    await rm(storage, { recursive: true, force: true });
  });

  const killMidway = async (requestId: number, signal: NodeJS.Signals) => {
    const running = client.complete({ ...PLACE, requestId });
    await client.until(() => client.textOf(requestId) !== '');
    process.kill(await enginePid(storage), signal);
    return running;
  };

  it('fails that completion with one message, and serves the next', async () => {
    const failed = await killMidway(1, 'SIGKILL');
    expect(failed.outcome).toBe('failed');
    expect(failed.message).toMatch(/SIGKILL.*fresh/);
    expect(failed.text).toBe(client.textOf(1));
    await client.settings({ maxTokens: 4 });
    expect((await client.complete({ ...PLACE, requestId: 2 })).outcome).toBe('done');
    expect(client.messages).toHaveLength(1);
    expect(client.messages[0]!.level).toBe('error');
  });

  it('is left off after three crashes in a row, until it is restarted', async () => {
    for (const requestId of [1, 2, 3]) expect((await killMidway(requestId, 'SIGKILL')).outcome).toBe('failed');
    const off = await client.complete({ ...PLACE, requestId: 4 });
    expect(off.outcome).toBe('failed');
    expect(off.message).toMatch(/Restart/);
    expect(client.state).toBe('error');
    await client.settings({ maxTokens: 4 });
    await client.connection.sendRequest('specdiff/restartEngine');
    expect((await client.complete({ ...PLACE, requestId: 5 })).outcome).toBe('done');
  });

  it('does not use a CPU library again that met an illegal instruction', async () => {
    await killMidway(1, 'SIGILL');
    const first = client.states.findLast(({ loaded }) => loaded !== null)!.loaded!.backend.name;
    await client.settings({ maxTokens: 4 });
    expect((await client.complete({ ...PLACE, requestId: 2 })).outcome).toBe('done');
    expect(client.states.at(-1)!.loaded!.backend.name).not.toBe(first);
    const stored = JSON.parse(await readFile(join(storage, 'cpu-libraries.json'), 'utf8')) as {
      verdicts: Record<string, string>;
    };
    expect(Object.values(stored.verdicts)).toEqual(['bad', 'good']);
    expect(client.messages).toHaveLength(0);
  });

  it('ends the engine when the server is killed', async () => {
    const running = client.complete({ ...PLACE, requestId: 1 });
    running.catch(() => {});
    await client.until(() => client.textOf(1) !== '');
    const pid = await enginePid(storage);
    client.process.kill('SIGKILL');
    // Not our child: nothing tells us when it ends, so ask.
    await expect.poll(() => isAlive(pid), { timeout: 20_000 }).toBe(false);
    client.connection.dispose();
    client = await LanguageServerClient.start({ storageDirectory: storage });
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Scores highest, and traps as soon as it is used. */
const TRAPPING_LIBRARY = `
int ggml_backend_score(void) { return 1000000; }
void *ggml_backend_init(void) { __builtin_trap(); }
`;

const compiler = ['cc', 'gcc', 'clang'].find((name) => {
  try {
    execFileSync(name, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
});
const trapMissing =
  engineMissing() ??
  (process.platform === 'linux' && process.arch === 'x64' ? null : 'the library is made for Linux on x64') ??
  (compiler === undefined ? 'there is no C compiler' : null);

describe.skipIf(trapMissing !== null)(
  `a CPU library that traps${trapMissing === null ? '' : ` [SKIP: ${trapMissing}]`}`,
  () => {
    let folder: string;
    beforeAll(async () => {
      await bundleServer();
      folder = await mkdtemp(join(tmpdir(), 'specdiff-trap-'));
      const native = join(folder, 'dist/native', `${process.platform}-${process.arch}`);
      await mkdir(native, { recursive: true });
      for (const name of await readdir(NATIVE)) await symlink(join(NATIVE, name), join(native, name));
      await symlink(join(ROOT, 'models'), join(folder, 'models'));
      const source = join(folder, 'trap.c');
      await writeFile(source, TRAPPING_LIBRARY);
      execFileSync(compiler!, ['-shared', '-fPIC', '-o', join(native, 'libggml-cpu-trap.so'), source]);
    });
    afterAll(() => rm(folder, { recursive: true, force: true }));

    it('is found out in a child process, passed over and remembered', async () => {
      const storageDirectory = join(folder, 'storage');
      for (const round of ['probing', 'remembering']) {
        const client = await LanguageServerClient.start({
          storageDirectory,
          extensionRoot: folder,
          settings: { maxTokens: 4 },
        });
        await client.open(URI, 'Once upon a time there was a', 'markdown');
        const result = await client.complete(PLACE);
        expect(result.outcome, result.message).toBe('done');
        expect(client.states.at(-1)!.loaded!.backend.name).not.toMatch(/trap/);
        expect(client.messages).toEqual([]);
        const probed = client.logs.filter((text) => text.includes('libggml-cpu-trap.so probed')).length;
        expect(probed).toBe(round === 'probing' ? 1 : 0);
        await client.stop();
      }
    });
  },
);

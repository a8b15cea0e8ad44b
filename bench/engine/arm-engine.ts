/** Engine processes as the product starts them, for the arms of a benchmark. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { ServerSettings } from '../../protocol/settings';
import type { EngineClient } from '../../server/engine/client';
import { createEngine } from '../../server/engine/create';

export interface ArmEngine {
  readonly engine: EngineClient;
  /** Process id while it runs. */
  readonly pid: () => number | null;
}

export const storageDirectory = (root: string): string => path.join(root, 'build/bench/storage');

/** @param storage folder of what the engine learns and of the probe's verdicts */
export function createArmEngine(root: string, settings: ServerSettings, storage = storageDirectory(root)): ArmEngine {
  const state: { pid: number | null } = { pid: null };
  const engine = createEngine({
    enginePath: path.join(root, 'dist/engine.js'),
    extensionRoot: root,
    storageDirectory: storage,
    settings: () => settings,
    onState: () => {},
    onProcess: (pid) => (state.pid = pid),
    log: (level, text) => {
      if (level === 'warning' || level === 'error') process.stderr.write(`${text}\n`);
    },
  });
  return { engine, pid: () => state.pid };
}

/** Bytes of a process that lie in memory now, shared libraries and mapped model files included; null where no /proc tells it. */
export function residentBytes(pid: number | null): number | null {
  if (pid === null || process.platform !== 'linux') return null;
  try {
    const kilobytes = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return kilobytes === undefined ? null : Number(kilobytes) * 1024;
  } catch {
    return null; // It ended meanwhile.
  }
}

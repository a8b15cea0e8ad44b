/** The probing children: each may be killed by a trap, which is the answer that its parent waits for. */
import { loadAddon } from './load-addon';

export type ProbeMessage =
  /** The addon is loaded; what goes wrong from here on is the CPU library's doing. */
  | { readonly probe: 'begun' }
  | { readonly probe: 'libraries'; readonly libraries: readonly { readonly file: string; readonly score: number }[] }
  | { readonly probe: 'passed' }
  /** It neither trapped nor gave right results. */
  | { readonly probe: 'failed'; readonly reason: string };

export function runProbe(args: readonly string[], send: (message: ProbeMessage) => void): void {
  const [mode, nativeDirectory, cpuLibrary] = args;
  if (nativeDirectory === undefined) throw new Error(`${mode} needs a native directory`);
  const addon = loadAddon(nativeDirectory);
  send({ probe: 'begun' });
  if (mode === '--list-cpu-libraries') {
    send({ probe: 'libraries', libraries: addon.listCpuLibraries(nativeDirectory) });
  } else if (mode === '--probe' && cpuLibrary !== undefined) {
    try {
      addon.initialize({ nativeDirectory, backendDirectories: [], cpuLibrary, backend: 'cpu', onLog: () => {} });
      addon.exercise(2);
      send({ probe: 'passed' });
    } catch (error) {
      send({ probe: 'failed', reason: error instanceof Error ? error.message : String(error) });
    }
  } else {
    throw new Error(`Unknown mode ${mode}`);
  }
  // Disconnecting flushes what was sent; the child then ends with code 0 by itself.
  if (process.connected) process.disconnect();
}

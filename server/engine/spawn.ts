/** Starts dist/engine.js as a child of this process, under plain Node or under VS Code's Electron alike. */
import { fork, type ChildProcess } from 'node:child_process';

/**
 * What glibc's malloc is told: memory in huge pages, pieces of up to 32 MB from its heap, of which 64 MB may lie free.
 * On a virtual machine the first look at a page of 4 KB takes 8 µs where nobody looked at it for 100 ms and 25 µs after
 * 400 ms (measured; 0.2 µs otherwise), and the graphs, hidden states and tables of a text are thousands of them:
 * docs/benchmarks.md. Elsewhere, and where the system has no huge pages, it changes nothing.
 */
const MALLOC_TUNABLES = [
  'glibc.malloc.hugetlb=1',
  `glibc.malloc.mmap_threshold=${32 << 20}`,
  `glibc.malloc.trim_threshold=${64 << 20}`,
  `glibc.malloc.top_pad=${4 << 20}`,
].join(':');

/** The user's own tunables come last and win. */
function memoryVariables(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  if (process.platform !== 'linux') return {};
  const own = env['GLIBC_TUNABLES'];
  return { GLIBC_TUNABLES: own === undefined || own === '' ? MALLOC_TUNABLES : `${MALLOC_TUNABLES}:${own}` };
}

export function spawnEngine(enginePath: string, args: readonly string[] = []): ChildProcess {
  return fork(enginePath, args, {
    serialization: 'advanced',
    // The parent's --inspect or loader flags must not reach the child.
    execArgv: [],
    env: { ...process.env, ...memoryVariables(process.env), ELECTRON_RUN_AS_NODE: '1' },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
}

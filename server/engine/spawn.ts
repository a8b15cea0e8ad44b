/** Starts dist/engine.js as a child of this process, under plain Node or under VS Code's Electron alike. */
import { fork, type ChildProcess } from 'node:child_process';

export function spawnEngine(enginePath: string, args: readonly string[] = []): ChildProcess {
  return fork(enginePath, args, {
    serialization: 'advanced',
    // The parent's --inspect or loader flags must not reach the child.
    execArgv: [],
    env: { ...process.env, ELECTRON_RUN_AS_NODE: '1' },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
}

// A machine that is slow on purpose, so that what happens while text is written can be seen however fast it would be.
import type { Editor } from './editor';

const CYCLE_MS = 100;
const RUNNING_MS = 10;

/** Lets the engine process run a tenth of the time while `work` goes on. @throws where no engine runs. */
export async function withSlowEngine(editor: Editor, work: () => Promise<void>): Promise<void> {
  const { engines } = editor;
  if (engines.length === 0) throw new Error('No engine runs yet; complete something first.');
  const send = (signal: NodeJS.Signals): void => {
    for (const { pid } of engines) process.kill(pid, signal);
  };
  let pause: NodeJS.Timeout | undefined;
  const cycle = setInterval(() => {
    send('SIGCONT');
    pause = setTimeout(() => send('SIGSTOP'), RUNNING_MS);
  }, CYCLE_MS);
  try {
    await work();
  } finally {
    clearInterval(cycle);
    clearTimeout(pause);
    send('SIGCONT');
  }
}

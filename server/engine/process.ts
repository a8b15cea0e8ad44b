/**
 * Entry point of the engine process. Without arguments it serves its parent over IPC;
 * `--list-cpu-libraries DIR` and `--probe DIR FILE` are the short-lived children of probe.ts.
 */
import type { EngineCommand } from '../../protocol/messages';
import { EngineHost } from './host';
import { loadAddon } from './load-addon';
import { runProbe } from './probe-child';

function send(message: object): void {
  if (process.connected) process.send?.(message);
}

function isEngineCommand(value: unknown): value is EngineCommand {
  return typeof value === 'object' && value !== null && 'command' in value;
}

function serve(): void {
  const host = new EngineHost(loadAddon, send);
  process.on('message', (message: unknown) => {
    if (!isEngineCommand(message)) return;
    void host.handle(message).then(() => {
      if (message.command === 'close') process.exit(0);
    });
  });
  // Whoever started this process is gone: its memory is not to outlive it.
  process.once('disconnect', () => void host.close().finally(() => process.exit(0)));
}

const mode = process.argv[2];
if (mode === undefined) serve();
else runProbe(process.argv.slice(2), send);

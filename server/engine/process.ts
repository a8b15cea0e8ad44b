/**
 * Entry point of the engine process. Without arguments it serves its parent over IPC;
 * `--list-cpu-libraries DIR` and `--probe DIR FILE` are the short-lived children of probe.ts.
 */
import type { EngineCommand } from '../../protocol/messages';
import { EngineHost } from './host';
import { loadAddon } from './load-addon';
import { runProbe } from './probe-child';

/** When the last message has gone out, or never can. */
let sent: Promise<unknown> = Promise.resolve();

function send(message: object): void {
  if (!process.connected) return;
  // Without a callback, a parent that has ended would be an error that nobody catches.
  sent = new Promise((resolve) => process.send?.(message, undefined, undefined, resolve));
}

function isEngineCommand(value: unknown): value is EngineCommand {
  return typeof value === 'object' && value !== null && 'command' in value;
}

function serve(): void {
  const host = new EngineHost(loadAddon, send);
  process.on('message', (message: unknown) => {
    if (!isEngineCommand(message)) return;
    void host.handle(message).then(async () => {
      if (message.command !== 'close') return;
      await sent;
      process.exit(0);
    });
  });
  // Whoever started this process is gone: its memory is not to outlive it.
  process.once('disconnect', () => void host.close().finally(() => process.exit(0)));
}

const mode = process.argv[2];
if (mode === undefined) serve();
else runProbe(process.argv.slice(2), send);

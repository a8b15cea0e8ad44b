/** The engine as the CLI uses it: the same process and client as the server's, for the length of one command. */
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import type { ServerSettings } from '../../protocol/settings';
import type { EngineClient } from '../engine/client';
import { createEngine } from '../engine/create';
import type { CommonArgs } from './args';

/** dist/cli.js lies one folder below. */
export function extensionRoot(args: CommonArgs): string {
  return resolve(args.extensionRoot ?? dirname(__dirname));
}

export function createCliEngine(args: CommonArgs, settings: ServerSettings): EngineClient {
  return createEngine({
    enginePath: join(__dirname, 'engine.js'),
    extensionRoot: extensionRoot(args),
    storageDirectory: resolve(args.storageDirectory ?? defaultStorage()),
    settings: () => settings,
    onState: () => {},
    log: (level, text) => {
      if (level === 'warning' || level === 'error' || process.env['SPECDIFF_VERBOSE'] !== undefined) {
        process.stderr.write(`${text}\n`);
      }
    },
  });
}

function defaultStorage(): string {
  if (process.platform === 'win32') return join(process.env['LOCALAPPDATA'] ?? homedir(), 'specdiff');
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'specdiff');
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'specdiff');
}

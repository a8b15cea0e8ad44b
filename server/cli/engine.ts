/** The engine as the CLI uses it: the same process and client as the server's, for the length of one command. */
import { dirname, join, resolve } from 'node:path';
import type { ServerSettings } from '../../protocol/settings';
import type { EngineClient } from '../engine/client';
import { createEngine } from '../engine/create';
import { defaultStorageDirectory } from '../storage';
import type { CommonArgs } from './args';

/** dist/cli.js lies one folder below. */
export function extensionRoot(args: CommonArgs): string {
  return resolve(args.extensionRoot ?? dirname(__dirname));
}

export function createCliEngine(args: CommonArgs, settings: ServerSettings): EngineClient {
  return createEngine({
    enginePath: join(__dirname, 'engine.js'),
    extensionRoot: extensionRoot(args),
    storageDirectory: resolve(args.storageDirectory ?? defaultStorageDirectory()),
    settings: () => settings,
    onState: () => {},
    log: (level, text) => {
      const told = level === 'warning' || level === 'error';
      if (told || process.env['SPECDIFF_VERBOSE'] !== undefined) process.stderr.write(`${text}\n`);
    },
  });
}

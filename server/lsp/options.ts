/** Reads the initialization options; other editors may send none. */
import { dirname } from 'node:path';
import type { InitializationOptions } from '../../protocol/messages';
import { readServerSettings } from '../settings';
import { defaultStorageDirectory } from '../storage';

export function readInitializationOptions(value: unknown): InitializationOptions {
  const get = (key: string): unknown =>
    typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;
  const extensionRoot = get('extensionRoot');
  const storageDirectory = get('storageDirectory');
  return {
    settings: readServerSettings(get('settings')),
    // dist/server.js lies one folder below.
    extensionRoot: typeof extensionRoot === 'string' ? extensionRoot : dirname(__dirname),
    storageDirectory: typeof storageDirectory === 'string' ? storageDirectory : defaultStorageDirectory(),
    workspaceTrusted: get('workspaceTrusted') === true,
  };
}

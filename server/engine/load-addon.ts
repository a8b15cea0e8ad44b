/** Loads the native addon from a native directory; only the engine process calls this. */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { NativeAddon } from './addon';

export const ADDON_FILE = 'specdiff.node';

export function loadAddon(nativeDirectory: string): NativeAddon {
  const path = join(nativeDirectory, ADDON_FILE);
  let loaded: unknown;
  try {
    loaded = createRequire(path)(path);
  } catch (error) {
    throw new Error(
      `The native engine ${path} could not be loaded: ${error instanceof Error ? error.message : String(error)}. ` +
        'Reinstall the extension for this platform, or run "npm run build" in a checkout.',
    );
  }
  if (!isNativeAddon(loaded)) {
    throw new Error(`${path} is not the native engine of this version; run "npm run build" again.`);
  }
  return loaded;
}

function isNativeAddon(value: unknown): value is NativeAddon {
  return (
    typeof value === 'object' &&
    value !== null &&
    ['listCpuLibraries', 'initialize', 'exercise', 'load'].every(
      (name) => typeof Reflect.get(value, name) === 'function',
    )
  );
}

/** Where this platform's native libraries lie in the installed extension. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

export function nativeDirectory(extensionRoot: string): string {
  return join(extensionRoot, 'dist', 'native', `${process.platform}-${process.arch}`);
}

/** Names in npm packages where they differ from Node's. */
const PLATFORM_NAMES: ReadonlyMap<string, string> = new Map([
  ['darwin', 'mac'],
  ['win32', 'win'],
]);

/** In a source checkout the GPU backends lie where npm has put them; an installed extension carries none. */
export function bundledBackendDirectories(extensionRoot: string): string[] {
  const packages = join(extensionRoot, 'node_modules', '@node-llama-cpp');
  const list = (folder: string): string[] => {
    try {
      return readdirSync(folder).map((name) => join(folder, name));
    } catch {
      return [];
    }
  };
  const system = PLATFORM_NAMES.get(process.platform) ?? process.platform;
  const platform = `${system}-${process.arch}-`;
  return list(packages)
    .filter((folder) => folder.includes(platform) && !folder.endsWith('-ext'))
    .flatMap((folder) => list(join(folder, 'bins')));
}

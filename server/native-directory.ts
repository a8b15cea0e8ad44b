/** Where this platform's native libraries lie in the installed extension. */
import { join } from 'node:path';

export function nativeDirectory(extensionRoot: string): string {
  return join(extensionRoot, 'dist', 'native', `${process.platform}-${process.arch}`);
}

/** Which files to load: the setting's, else the imported model, else the bundled default. */
import { readFile, stat } from 'node:fs/promises';
import { basename, isAbsolute, join } from 'node:path';
import type { ServerSettings } from '../../protocol/settings';
import { CATALOGUE, defaultTarget } from './catalogue';

/** There is no target to load; the message says what to do. */
export class NoModelError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'NoModelError';
  }
}

export interface ModelFiles {
  readonly targetPath: string;
  readonly drafterPath: string | null;
}

export interface ModelFolders {
  /** models/ and models/cache/ lie below it. */
  readonly extensionRoot: string;
  /** Imported models lie in its models/ folder. */
  readonly storageDirectory: string;
}

export function cachePath(extensionRoot: string, file: string): string {
  return join(extensionRoot, 'models', 'cache', file);
}

/** Names the imported target inside storage's models/ folder. */
export function importedRecordPath(storageDirectory: string): string {
  return join(storageDirectory, 'models', 'imported.json');
}

export async function resolveModels(
  settings: Pick<ServerSettings, 'targetPath' | 'drafterPath'>,
  folders: ModelFolders,
): Promise<ModelFiles> {
  const targetPath = await resolveTarget(settings.targetPath, folders);
  if (settings.drafterPath === '') return { targetPath, drafterPath: await pairedDrafter(targetPath, folders) };
  if (!(await isFile(settings.drafterPath))) {
    throw new Error(
      `The drafter ${settings.drafterPath} is not there; correct the setting or leave it empty for the target's own drafter.`,
    );
  }
  return { targetPath, drafterPath: settings.drafterPath };
}

/** Sizes and times of the files: another model may come to lie under the same name. */
export async function stampsOf({ targetPath, drafterPath }: ModelFiles): Promise<string> {
  const paths = drafterPath === null ? [targetPath] : [targetPath, drafterPath];
  const found = await Promise.all(paths.map((path) => stat(path)));
  return found.map(({ size, mtimeMs }) => `${size}/${mtimeMs}`).join(' ');
}

async function resolveTarget(setting: string, folders: ModelFolders): Promise<string> {
  if (setting !== '') {
    if (await isFile(setting)) return setting;
    throw new NoModelError(
      `The model file ${setting} is not there; correct the path${isAbsolute(setting) ? '' : ' (an absolute one is safest)'} or use "Import a model file…".`,
    );
  }
  const imported = await importedTarget(folders.storageDirectory);
  if (imported !== null) return imported;
  const bundled = cachePath(folders.extensionRoot, defaultTarget().file);
  if (await isFile(bundled)) return bundled;
  throw new NoModelError(
    'No model is installed: use "Import a model file…" to choose a GGUF file (in a checkout, "npm run build" fetches the default model).',
  );
}

async function importedTarget(storageDirectory: string): Promise<string | null> {
  try {
    const record: unknown = JSON.parse(await readFile(importedRecordPath(storageDirectory), 'utf8'));
    if (typeof record !== 'object' || record === null || !('file' in record) || typeof record.file !== 'string') {
      return null;
    }
    const path = join(storageDirectory, 'models', basename(record.file));
    return (await isFile(path)) ? path : null;
  } catch {
    return null;
  }
}

/** The catalogue's drafter for a target, told by the target's file name and size; the engine checks the match itself. */
async function pairedDrafter(targetPath: string, folders: ModelFolders): Promise<string | null> {
  const { size } = await stat(targetPath);
  const entry = CATALOGUE.find(({ file, bytes }) => file === basename(targetPath) && bytes === size);
  if (entry === undefined) return null;
  const path = join(folders.extensionRoot, 'models', entry.drafter);
  return (await isFile(path)) ? path : null;
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}

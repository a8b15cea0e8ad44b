/** Puts the engine client together from where files lie and what the settings say; the server and the CLI share it. */
import { join } from 'node:path';
import type { ServerSettings } from '../../protocol/settings';
import { resolveModels, stampsOf, type ModelFolders } from '../models/resolve';
import { bundledBackendDirectories, nativeDirectory } from '../native-directory';
import { EngineClient, type EngineClientOptions, type WantedEngine } from './client';
import { engineContextTokens } from './engine-context';
import { LearnedStore } from './learned';
import { CpuLibraryPicker } from './probe';
import { VerdictStore } from './verdicts';

export interface EngineSetup
  extends ModelFolders, Pick<EngineClientOptions, 'enginePath' | 'onState' | 'onProcess' | 'onCrash' | 'log'> {
  readonly settings: () => ServerSettings;
}

export function createEngine(setup: EngineSetup): EngineClient {
  return new EngineClient({
    ...setup,
    loadOptions: () => loadOptions(setup.settings(), setup),
    cpuLibraries: cpuLibraryPicker(setup),
    learned: new LearnedStore(join(setup.storageDirectory, 'learned.json'), (text) => setup.log('warning', text)),
    idleMinutes: () => setup.settings().idleMinutes,
  });
}

export function cpuLibraryPicker({
  enginePath,
  storageDirectory,
  log,
}: Pick<EngineSetup, 'enginePath' | 'storageDirectory' | 'log'>): CpuLibraryPicker {
  const verdicts = new VerdictStore(join(storageDirectory, 'cpu-libraries.json'), (text) => log('warning', text));
  return new CpuLibraryPicker(enginePath, verdicts, (text) => log('info', text));
}

export async function loadOptions(settings: ServerSettings, folders: ModelFolders): Promise<WantedEngine> {
  const files = await resolveModels(settings, folders);
  return {
    ...files,
    stamps: await stampsOf(files),
    nativeDirectory: nativeDirectory(folders.extensionRoot),
    backendDirectories: [...settings.backendDirectories, ...bundledBackendDirectories(folders.extensionRoot)],
    backend: settings.backend,
    kernels: settings.kernels,
    threads: settings.threads,
    contextTokens: engineContextTokens(settings),
  };
}

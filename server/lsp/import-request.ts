/** Answers `specdiff/importModel`. */
import { basename, join } from 'node:path';
import type { EngineState, ImportModelResult, TargetDescription } from '../../protocol/messages';
import type { ServerSettings } from '../../protocol/settings';
import { abortable, isAbortError } from '../abort';
import { EngineChild, type LogLevel } from '../engine/child';
import type { EngineClient } from '../engine/client';
import type { CpuLibraryPicker } from '../engine/probe';
import { importModel } from '../models/import';
import { nativeDirectory } from '../native-directory';

export interface ImportEnvironment {
  readonly engine: EngineClient;
  readonly cpuLibraries: CpuLibraryPicker;
  readonly extensionRoot: string;
  readonly storageDirectory: string;
  readonly settings: () => ServerSettings;
  readonly onState: (state: EngineState) => void;
  readonly log: (level: LogLevel, text: string) => void;
}

/** Enough to see that the model loads; the real size comes with the first request. */
const TRIAL_CONTEXT_TOKENS = 256;

export async function answerImport(
  environment: ImportEnvironment,
  path: string,
  signal: AbortSignal,
): Promise<ImportModelResult> {
  const { engine, storageDirectory, onState } = environment;
  try {
    // Two models at once could be too much for the memory.
    await engine.restart();
    const name = basename(path);
    const target = await importModel(
      path,
      storageDirectory,
      (file, tried) => trialLoad(environment, file, tried),
      (percent) => onState({ state: 'importing', percent, name }),
      signal,
    );
    // What was asked meanwhile has begun the engine with the model of before.
    await engine.restart();
    const named = environment.settings().targetPath !== '';
    const note = named ? ' The setting "specdiff.target.path" still names another file: clear it to use this one.' : '';
    return { ok: true, message: `${target.name} is imported and is used from the next request on.${note}` };
  } catch (error) {
    await engine.lookForModel();
    if (isAbortError(error)) return { ok: false, message: 'The import was cancelled; nothing was changed.' };
    return { ok: false, message: error instanceof Error ? error.message : String(error) };
  }
}

async function trialLoad(
  { cpuLibraries, extensionRoot, settings, log }: ImportEnvironment,
  targetPath: string,
  signal: AbortSignal,
): Promise<TargetDescription> {
  const directory = nativeDirectory(extensionRoot);
  const choice = await cpuLibraries.pick(directory, settings().kernels, signal);
  const child = new EngineChild(join(__dirname, 'engine.js'), log);
  try {
    const loaded = await abortable(
      child.load({
        nativeDirectory: directory,
        backendDirectories: settings().backendDirectories,
        ...choice,
        backend: 'cpu',
        threads: 1,
        contextTokens: TRIAL_CONTEXT_TOKENS,
        targetPath,
        drafterPath: null,
        learned: null,
      }),
      signal,
    );
    return loaded.description.target;
  } finally {
    await child.close();
  }
}

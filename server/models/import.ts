/** "Import a model file…": checks a GGUF file by its head and by a trial load, and copies it into storage. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { TargetDescription } from '../../protocol/messages';
import { putText } from '../files/put';
import { writeModelFile } from './copy';
import { readGgufHead, refusalOf } from './gguf';
import { importedRecordPath } from './resolve';

/** Loads the target in a process of its own and tells what it is; rejects with a clear sentence. */
export type TrialLoad = (path: string, signal: AbortSignal) => Promise<TargetDescription>;

export async function importModel(
  path: string,
  storageDirectory: string,
  trialLoad: TrialLoad,
  onPercent: (percent: number) => void,
  signal: AbortSignal,
): Promise<TargetDescription> {
  const head = await readGgufHead(path);
  const refusal = refusalOf(head.architecture);
  if (refusal !== null) throw new Error(`${basename(path)}: ${refusal}`);
  const target = await trialLoad(path, signal);
  const { size } = await stat(path);
  const to = join(storageDirectory, 'models', basename(path));
  if (to !== path) {
    let last = -1;
    const onBytes = (bytes: number): void => {
      const percent = Math.floor((100 * bytes) / size);
      if (percent > last) onPercent((last = percent));
    };
    await writeModelFile(createReadStream(path), to, null, onBytes, signal);
  }
  await putText(importedRecordPath(storageDirectory), JSON.stringify({ file: basename(path) }));
  return target;
}

/** Writes a model file while hashing it; it is there only when it is whole and right. */
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { Transform, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { putFile } from '../files/put';

export interface ExpectedContent {
  readonly bytes: number;
  readonly sha256: string;
}

/** Nothing is left behind when it fails. Errors: aborted, disk full, content other than expected. */
export async function writeModelFile(
  from: Readable,
  to: string,
  expected: ExpectedContent | null,
  onBytes: (bytes: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const hash = createHash('sha256');
  let bytes = 0;
  const meter = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      bytes += chunk.length;
      onBytes(bytes);
      done(null, chunk);
    },
  });
  await putFile(to, async (part) => {
    await pipeline(from, meter, createWriteStream(part), { signal });
    const sha256 = hash.digest('hex');
    if (expected !== null && (bytes !== expected.bytes || sha256 !== expected.sha256)) {
      throw new Error(
        `The file for ${to} is not the expected one (${bytes} bytes, sha256 ${sha256}; expected ${expected.bytes} bytes, ${expected.sha256}); try again, or report it when it stays so.`,
      );
    }
  });
}

/** The sha256 of a file's content, read in pieces. */
export async function sha256Of(from: Readable, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(from, hash, { signal });
  return hash.digest('hex');
}

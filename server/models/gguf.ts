/** A light look at a GGUF file's head, to say early and clearly that a file is not a model we can use. */
import { open } from 'node:fs/promises';

/** Enough for the metadata that precedes the tokenizer's arrays in every writer we know. */
const HEAD_BYTES = 256 * 1024;
const MAGIC = 'GGUF';
const STRING = 8;
const ARRAY = 9;
/** Bytes of each scalar metadata type, by type number. */
const SCALAR_BYTES: readonly (number | undefined)[] = [1, 1, 2, 2, 4, 4, 4, 1, undefined, undefined, 8, 8, 8];

/** Architectures of drafters and of models that do not write text from left to right. */
const NOT_A_TARGET = new Set([
  'dflash',
  'eagle3',
  'bert',
  'nomic-bert',
  'jina-bert-v2',
  't5encoder',
  'clip',
  'mmproj',
  'wavtokenizer-dec',
]);

export interface GgufHead {
  readonly version: number;
  /** null where the metadata looked at does not name it. */
  readonly architecture: string | null;
}

/** Rejects with one clear sentence where the file cannot be read or is no GGUF file. */
export async function readGgufHead(path: string): Promise<GgufHead> {
  const file = await open(path, 'r').catch((error: unknown) => {
    throw new Error(
      `${path} could not be read (${error instanceof Error ? error.message : String(error)}); choose another file.`,
    );
  });
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    const head = buffer.subarray(0, bytesRead);
    if (head.length < 24 || head.toString('latin1', 0, 4) !== MAGIC) {
      throw new Error(`${path} is not a GGUF model file; choose a file that ends in .gguf.`);
    }
    const version = head.readUInt32LE(4);
    if (version < 2 || version > 3) {
      throw new Error(
        `${path} has GGUF version ${version}, which is not supported; convert the model with a current llama.cpp.`,
      );
    }
    return { version, architecture: findArchitecture(head) };
  } finally {
    await file.close();
  }
}

/** Why a model of this architecture cannot be a target, or null. */
export function refusalOf(architecture: string | null): string | null {
  if (architecture === null || !NOT_A_TARGET.has(architecture)) return null;
  return `This is a model of architecture "${architecture}", which cannot write text by itself; choose a causal language model as target.`;
}

function findArchitecture(head: Buffer): string | null {
  const entries = head.readBigUInt64LE(16);
  let at = 24;
  const string = (): string => {
    const length = Number(head.readBigUInt64LE(at));
    const end = at + 8 + length;
    if (end > head.length) throw new RangeError('beyond the head');
    const text = head.toString('utf8', at + 8, end);
    at = end;
    return text;
  };
  try {
    for (let entry = 0n; entry < entries; entry++) {
      const key = string();
      const type = head.readUInt32LE(at);
      at += 4;
      if (type === STRING) {
        const value = string();
        if (key === 'general.architecture') return value;
      } else if (type === ARRAY) {
        const elementBytes = SCALAR_BYTES[head.readUInt32LE(at)];
        if (elementBytes === undefined) return null;
        at += 12 + Number(head.readBigUInt64LE(at + 4)) * elementBytes;
      } else {
        const bytes = SCALAR_BYTES[type];
        if (bytes === undefined) return null;
        at += bytes;
      }
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  return null;
}

/** Sizes that floating-point operations are counted from, read off a GGUF file's metadata and list of tensors. */
import { closeSync, openSync, readSync } from 'node:fs';
import path from 'node:path';

export interface ModelSize {
  /** Weights of matrices that every evaluated row is multiplied with: all but token tables. */
  readonly bodyWeights: number;
  /** Weights of the output head, which only rows whose logits are wanted are multiplied with; 0 where it has none. */
  readonly headWeights: number;
  /** Weights of matrices that read the target's hidden states, once for each token of the text; else 0. */
  readonly readerWeights: number;
  readonly layers: number;
  /** Heads times the width of one: what a row's queries hold. */
  readonly attentionWidth: number;
  /** All numbers in the file. */
  readonly parameters: number;
}

const MAGIC = 0x46554747;
const STRING = 8;
const ARRAY = 9;
/** Bytes of each scalar metadata type, by type number. */
const SCALAR_BYTES: readonly (number | undefined)[] = [1, 1, 2, 2, 4, 4, 4, 1, undefined, undefined, 8, 8, 8];
const UNSIGNED_32 = 4;
const CHUNK = 1 << 20;

/** Reads a file from its beginning on, no more of it than asked for. */
class Reader {
  private buffer = Buffer.alloc(0);
  private at = 0;

  constructor(
    private readonly file: number,
    private readonly name: string,
  ) {}

  take(bytes: number): Buffer {
    while (this.buffer.length - this.at < bytes) {
      const more = Buffer.alloc(Math.max(CHUNK, bytes));
      const count = readSync(this.file, more, 0, more.length, null);
      if (count === 0) throw new Error(`${this.name} ends within its head; download or convert it again.`);
      this.buffer = Buffer.concat([this.buffer.subarray(this.at), more.subarray(0, count)]);
      this.at = 0;
    }
    this.at += bytes;
    return this.buffer.subarray(this.at - bytes, this.at);
  }
  u32 = (): number => this.take(4).readUInt32LE();
  u64 = (): number => Number(this.take(8).readBigUInt64LE());
  text = (): string => this.take(this.u64()).toString('utf8');

  /** The value of a metadata entry where it is a text or an unsigned number of 32 bits; others are skipped. */
  value(type: number): string | number | null {
    if (type === STRING) return this.text();
    if (type === UNSIGNED_32) return this.u32();
    if (type === ARRAY) {
      const elements = this.u32();
      for (let left = this.u64(); left > 0; left--) this.value(elements);
      return null;
    }
    const bytes = SCALAR_BYTES[type];
    if (bytes === undefined) throw new Error(`${this.name} has metadata of unknown type ${type}; convert it again.`);
    this.take(bytes);
    return null;
  }
}

/** Throws one sentence where the file is no GGUF file or lacks what is counted. */
export function modelSize(file: string): ModelSize {
  const name = path.basename(file);
  const descriptor = openSync(file, 'r');
  try {
    const reader = new Reader(descriptor, name);
    if (reader.u32() !== MAGIC) throw new Error(`${name} is not a GGUF model file; choose a file that ends in .gguf.`);
    reader.u32();
    const tensors = reader.u64();
    const metadata = new Map<string, string | number>();
    for (let left = reader.u64(); left > 0; left--) {
      const key = reader.text();
      const value = reader.value(reader.u32());
      if (value !== null) metadata.set(key, value);
    }
    const sizes = new Map<string, number[]>();
    for (let left = tensors; left > 0; left--) {
      const tensor = reader.text();
      const dimensions = Array.from({ length: reader.u32() }, reader.u64);
      reader.take(12); // type and place
      sizes.set(tensor, dimensions);
    }
    return sizeOf(name, metadata, sizes);
  } finally {
    closeSync(descriptor);
  }
}

const product = (numbers: readonly number[]): number => numbers.reduce((a, b) => a * b, 1);

function sizeOf(
  name: string,
  metadata: ReadonlyMap<string, string | number>,
  tensors: ReadonlyMap<string, readonly number[]>,
): ModelSize {
  const named = metadata.get('general.architecture');
  const architecture = named === 'gptneo' ? 'gpt2' : named; // its keys are gpt2's
  const whole = (key: string): number => {
    const value = metadata.get(`${String(architecture)}.${key}`);
    if (typeof value !== 'number') {
      throw new Error(`${name} lacks ${String(architecture)}.${key}; convert or download it again.`);
    }
    return value;
  };
  const heads = whole('attention.head_count');
  const keyLength = metadata.get(`${String(architecture)}.attention.key_length`);
  const sum = { body: 0, head: 0, reader: 0, all: 0 };
  for (const [tensor, dimensions] of tensors) {
    const count = product(dimensions);
    sum.all += count;
    if (dimensions.length < 2 || dimensions[1] === 1) continue;
    if (tensor === 'output.weight') sum.head += count;
    // The target's rows, as the drafter of native/core/diffusion_drafter reads them.
    else if (tensor === 'fc.weight') sum.reader += count;
    else if (!TABLES.test(tensor)) sum.body += count;
  }
  // A model without a head of its own multiplies with its token table; a drafter on a target with the target's.
  const table = tensors.get('token_embd.weight');
  if (sum.head === 0 && table !== undefined) sum.head = product(table);
  return {
    bodyWeights: sum.body,
    headWeights: sum.head,
    readerWeights: sum.reader,
    layers: whole('block_count'),
    attentionWidth: heads * (typeof keyLength === 'number' ? keyLength : whole('embedding_length') / heads),
    parameters: sum.all,
  };
}

/** Looked up, not multiplied with; and what only the noise level goes through, once for a pass. */
const TABLES = /^(token_embd|position_embd|markov_|time\.|output_modulation)|\.modulation\./;

/** A writer of small GGUF files (version 3, little-endian), enough for test models. */
import { writeFileSync } from 'node:fs';

export type MetadataValue =
  | { readonly type: 'u32' | 'i32' | 'f32'; readonly value: number }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'strings'; readonly value: readonly string[] }
  | { readonly type: 'f32s' | 'i32s'; readonly value: readonly number[] };

/** An F32 or I64 tensor; dimensions fastest first, as ggml counts them. */
export type Tensor =
  | { readonly dimensions: readonly number[]; readonly values: Float32Array }
  | { readonly dimensions: readonly number[]; readonly values: BigInt64Array };

const ALIGNMENT = 32;
const TYPE_IDS = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 };
const TENSOR_TYPES = { f32: 0, i64: 27 };

class Writer {
  readonly #parts: Buffer[] = [];
  length = 0;

  bytes(part: Buffer): void {
    this.#parts.push(part);
    this.length += part.length;
  }
  u32(value: number): void {
    const part = Buffer.alloc(4);
    part.writeUInt32LE(value);
    this.bytes(part);
  }
  u64(value: number): void {
    const part = Buffer.alloc(8);
    part.writeBigUInt64LE(BigInt(value));
    this.bytes(part);
  }
  text(value: string): void {
    const part = Buffer.from(value, 'utf8');
    this.u64(part.length);
    this.bytes(part);
  }
  scalar(type: 'u32' | 'i32' | 'f32', value: number): void {
    const part = Buffer.alloc(4);
    if (type === 'f32') part.writeFloatLE(value);
    else if (type === 'i32') part.writeInt32LE(value);
    else part.writeUInt32LE(value);
    this.bytes(part);
  }
  pad(): void {
    const rest = this.length % ALIGNMENT;
    if (rest !== 0) this.bytes(Buffer.alloc(ALIGNMENT - rest));
  }
  done(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

function writeMetadata(writer: Writer, entry: MetadataValue): void {
  switch (entry.type) {
    case 'bool':
      writer.u32(TYPE_IDS.bool);
      return writer.bytes(Buffer.from([entry.value ? 1 : 0]));
    case 'string':
      writer.u32(TYPE_IDS.string);
      return writer.text(entry.value);
    case 'strings':
      writer.u32(TYPE_IDS.array);
      writer.u32(TYPE_IDS.string);
      writer.u64(entry.value.length);
      return entry.value.forEach((value) => writer.text(value));
    case 'f32s':
    case 'i32s': {
      const type = entry.type === 'f32s' ? 'f32' : 'i32';
      writer.u32(TYPE_IDS.array);
      writer.u32(TYPE_IDS[type]);
      writer.u64(entry.value.length);
      return entry.value.forEach((value) => writer.scalar(type, value));
    }
    default:
      writer.u32(TYPE_IDS[entry.type]);
      return writer.scalar(entry.type, entry.value);
  }
}

/** The file's bytes. */
export function encodeGguf(
  metadata: Readonly<Record<string, MetadataValue>>,
  tensors: Readonly<Record<string, Tensor>>,
): Buffer {
  const writer = new Writer();
  writer.bytes(Buffer.from('GGUF'));
  writer.u32(3);
  writer.u64(Object.keys(tensors).length);
  writer.u64(Object.keys(metadata).length);
  for (const [key, entry] of Object.entries(metadata)) {
    writer.text(key);
    writeMetadata(writer, entry);
  }
  let offset = 0;
  for (const [name, tensor] of Object.entries(tensors)) {
    writer.text(name);
    writer.u32(tensor.dimensions.length);
    tensor.dimensions.forEach((size) => writer.u64(size));
    writer.u32(tensor.values instanceof Float32Array ? TENSOR_TYPES.f32 : TENSOR_TYPES.i64);
    writer.u64(offset);
    offset += Math.ceil(tensor.values.byteLength / ALIGNMENT) * ALIGNMENT;
  }
  writer.pad();
  for (const { values } of Object.values(tensors)) {
    writer.bytes(Buffer.from(values.buffer, values.byteOffset, values.byteLength));
    writer.pad();
  }
  return writer.done();
}

export function writeGguf(
  file: string,
  metadata: Readonly<Record<string, MetadataValue>>,
  tensors: Readonly<Record<string, Tensor>>,
): void {
  writeFileSync(file, encodeGguf(metadata, tensors));
}

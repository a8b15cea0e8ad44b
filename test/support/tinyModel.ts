/** Random language models small enough to enumerate: a llama target and dflash drafters that fit it. */
import path from 'node:path';
import { type MetadataValue, type Tensor, writeGguf } from './gguf';
import { normal } from './random';

const WIDTH = 32;
const HEADS = 2;
const HEAD_WIDTH = WIDTH / HEADS;
const FEED_FORWARD = 64;
const LAYERS = 3;
const TAPS = [1, 2];
/** Of the diffusion language model. */
const CONDITION = 16;
const FREQUENCIES = 32;
export const TINY_CONTEXT = 256;
/** <unk>, <s>, </s>, <mask>, "▁" and letters. */
export const TINY_VOCABULARY = [
  '<unk>',
  '<s>',
  '</s>',
  '<mask>',
  '▁',
  ...Array.from({ length: 26 }, (_, i) => String.fromCharCode(97 + i)),
];
const MASK = 3;
/** Token types, as GGUF numbers them. */
const NORMAL = 1;
const UNKNOWN = 2;
const CONTROL = 3;

type Metadata = Record<string, MetadataValue>;
type Tensors = Record<string, Tensor>;

export interface TinyDrafterOptions {
  readonly seed: number;
  readonly blockSize: number;
  readonly sampleFromAnchor: boolean;
  readonly slotInit: 'mask' | 'lookup';
  /** The target’s turns of phrase, see phrases.ts. */
  readonly phrases?: Metadata;
  /** Number of tokens of a reduced output head; all of them without it. */
  readonly draftVocabulary?: number;
  /** With factors of the head for a shortlist, of full rank; the head's weights are such that 8 bits hold them. */
  readonly shortlist?: boolean;
  /** Adds a Markov head of this rank. */
  readonly markovRank?: number;
  /** Its slots are drafted one by one. */
  readonly autoregressive?: boolean;
  readonly width?: number;
  readonly vocabulary?: readonly string[];
  readonly taps?: readonly number[];
}

/** Tokens that a document never becomes: those of the usual vocabulary's beginning, and the ones named. */
function tokenizer(vocabulary: readonly string[], control: readonly string[] = []): Metadata {
  const types = vocabulary.map((token, i) =>
    i === 0 ? UNKNOWN : i <= MASK || control.includes(token) ? CONTROL : NORMAL,
  );
  return {
    'tokenizer.ggml.model': { type: 'string', value: 'llama' },
    'tokenizer.ggml.tokens': { type: 'strings', value: vocabulary },
    'tokenizer.ggml.scores': { type: 'f32s', value: vocabulary.map((_, i) => -i) },
    'tokenizer.ggml.token_type': { type: 'i32s', value: types },
    'tokenizer.ggml.bos_token_id': { type: 'u32', value: 1 },
    'tokenizer.ggml.eos_token_id': { type: 'u32', value: 2 },
    'tokenizer.ggml.unknown_token_id': { type: 'u32', value: 0 },
    'tokenizer.ggml.add_bos_token': { type: 'bool', value: true },
  };
}

function sizes(architecture: string, layers: number, width: number): Metadata {
  return {
    'general.architecture': { type: 'string', value: architecture },
    'general.name': { type: 'string', value: `tiny ${architecture}` },
    [`${architecture}.block_count`]: { type: 'u32', value: layers },
    [`${architecture}.context_length`]: { type: 'u32', value: TINY_CONTEXT },
    [`${architecture}.embedding_length`]: { type: 'u32', value: width },
    [`${architecture}.feed_forward_length`]: { type: 'u32', value: FEED_FORWARD },
    [`${architecture}.attention.head_count`]: { type: 'u32', value: HEADS },
    [`${architecture}.attention.head_count_kv`]: { type: 'u32', value: HEADS },
    [`${architecture}.attention.layer_norm_rms_epsilon`]: { type: 'f32', value: 1e-5 },
    [`${architecture}.rope.dimension_count`]: { type: 'u32', value: HEAD_WIDTH },
  };
}

/** Makes tensors from one stream of random numbers, so that the same seed gives the same file. */
class Weights {
  readonly tensors: Tensors = {};
  readonly #next: () => number;

  constructor(seed: number) {
    this.#next = normal(seed);
  }
  matrix(name: string, columns: number, rows: number, scale = 1 / Math.sqrt(columns)): void {
    const values = Float32Array.from({ length: columns * rows }, () => scale * this.#next());
    this.tensors[name] = { dimensions: [columns, rows], values };
  }
  vector(name: string, size: number, scale: number): void {
    this.tensors[name] = {
      dimensions: [size],
      values: Float32Array.from({ length: size }, () => scale * this.#next()),
    };
  }
  ones(name: string, size: number): void {
    this.tensors[name] = { dimensions: [size], values: new Float32Array(size).fill(1) };
  }
  layer(index: number, width: number): void {
    const prefix = `blk.${index}.`;
    this.ones(`${prefix}attn_norm.weight`, width);
    for (const name of ['attn_q', 'attn_k', 'attn_v'])
      this.matrix(`${prefix}${name}.weight`, width, HEADS * HEAD_WIDTH);
    this.matrix(`${prefix}attn_output.weight`, HEADS * HEAD_WIDTH, width);
    this.ones(`${prefix}ffn_norm.weight`, width);
    for (const name of ['ffn_gate', 'ffn_up']) this.matrix(`${prefix}${name}.weight`, width, FEED_FORWARD);
    this.matrix(`${prefix}ffn_down.weight`, FEED_FORWARD, width);
  }
}

/** mpt: with positions of its own and, as its mask, distances (ALiBi). */
export type TinyArchitecture = 'llama' | 'qwen2' | 'qwen3' | 'mpt';

/** A causal model with random weights; its logits have a standard deviation of about 1.5. */
export function tinyTarget(
  seed: number,
  vocabulary = TINY_VOCABULARY,
  control: readonly string[] = [],
  architecture: TinyArchitecture = 'llama',
): { metadata: Metadata; tensors: Tensors } {
  const weights = new Weights(seed);
  weights.matrix('token_embd.weight', WIDTH, vocabulary.length, 1);
  for (let layer = 0; layer < LAYERS; layer += 1) {
    weights.layer(layer, WIDTH);
    const prefix = `blk.${layer}.`;
    if (architecture === 'mpt') weights.matrix(`${prefix}attn_qkv.weight`, WIDTH, 3 * WIDTH);
    if (architecture === 'qwen2')
      for (const name of ['attn_q', 'attn_k', 'attn_v']) weights.vector(`${prefix}${name}.bias`, WIDTH, 0.3);
    if (architecture === 'qwen3')
      for (const name of ['attn_q_norm', 'attn_k_norm']) weights.ones(`${prefix}${name}.weight`, HEAD_WIDTH);
  }
  weights.ones('output_norm.weight', WIDTH);
  weights.matrix('output.weight', WIDTH, vocabulary.length, 1.5 / Math.sqrt(WIDTH));
  const metadata = { ...sizes(architecture, LAYERS, WIDTH), ...tokenizer(vocabulary, control) };
  if (architecture !== 'mpt') return { metadata, tensors: weights.tensors };
  weights.matrix('position_embd.weight', WIDTH, TINY_CONTEXT, 1);
  const separate = /attn_[qkv]\.weight|ffn_gate/;
  return {
    metadata: {
      ...metadata,
      'mpt.attention.layer_norm_epsilon': { type: 'f32', value: 1e-5 },
      'mpt.attention.max_alibi_bias': { type: 'f32', value: 8 },
    },
    tensors: Object.fromEntries(Object.entries(weights.tensors).filter(([name]) => !separate.test(name))),
  };
}

/** GPT-Neo as the converter writes it: two layers, the second of which sees `window` tokens. */
export function writeTinyGptNeo(folder: string, window: number): string {
  const weights = new Weights(7);
  const linear = (name: string, columns: number, rows: number): void => {
    weights.matrix(`${name}.weight`, columns, rows, 2 / Math.sqrt(columns));
    weights.vector(`${name}.bias`, rows, 0.1);
  };
  const norm = (name: string): void => {
    weights.ones(`${name}.weight`, WIDTH);
    weights.vector(`${name}.bias`, WIDTH, 0.1);
  };
  weights.matrix('token_embd.weight', WIDTH, TINY_VOCABULARY.length, 0.5);
  weights.matrix('position_embd.weight', WIDTH, TINY_CONTEXT, 0.2);
  for (let layer = 0; layer < 2; layer += 1) {
    const prefix = `blk.${layer}.`;
    norm(`${prefix}attn_norm`);
    linear(`${prefix}attn_qkv`, WIDTH, 3 * WIDTH);
    linear(`${prefix}attn_output`, WIDTH, WIDTH);
    norm(`${prefix}ffn_norm`);
    linear(`${prefix}ffn_up`, WIDTH, FEED_FORWARD);
    linear(`${prefix}ffn_down`, FEED_FORWARD, WIDTH);
  }
  norm('output_norm');
  const metadata: Metadata = {
    ...sizes('gpt2', 2, WIDTH),
    'general.architecture': { type: 'string', value: 'gptneo' },
    'gpt2.attention.layer_norm_epsilon': { type: 'f32', value: 1e-5 },
    'gptneo.attention.windows': { type: 'i32s', value: [0, window] },
    ...tokenizer(TINY_VOCABULARY),
  };
  const file = path.join(folder, `gptneo-${window}.gguf`);
  writeGguf(file, metadata, weights.tensors);
  return file;
}

export interface TinySentinels {
  /** Texts of the control tokens that the model has beside letters, digits and a little punctuation. */
  readonly tokens: readonly string[];
  /** What the metadata calls the sentinels: token ids by role. Empty leaves it to llama.cpp to know them by text. */
  readonly named: Partial<Record<'pre' | 'suf' | 'mid', number>>;
}

/** Letters, digits, code's punctuation and line breaks; a word that its letters never merge into comes last. */
export const TINY_CODE_VOCABULARY = [...TINY_VOCABULARY, ...Array.from('0123456789()[]{}<>|.,:;=+-*/_'), '\n', 'xyz'];

/** A target like tinyTarget, with fill-in-the-middle sentinels behind TINY_CODE_VOCABULARY. */
export function writeTinyFimTarget(folder: string, name: string, sentinels: TinySentinels): string {
  const file = path.join(folder, `${name}.gguf`);
  const { metadata, tensors } = tinyTarget(1, [...TINY_CODE_VOCABULARY, ...sentinels.tokens], sentinels.tokens);
  const named = Object.entries(sentinels.named).map(([role, value]): [string, MetadataValue] => [
    `tokenizer.ggml.fim_${role}_token_id`,
    { type: 'u32', value },
  ]);
  writeGguf(file, { ...metadata, ...Object.fromEntries(named) }, tensors);
  return file;
}

export function tinyDrafter(options: TinyDrafterOptions): { metadata: Metadata; tensors: Tensors } {
  const width = options.width ?? WIDTH;
  const vocabulary = options.vocabulary ?? TINY_VOCABULARY;
  const taps = options.taps ?? TAPS;
  const rows = options.draftVocabulary ?? vocabulary.length;
  const weights = new Weights(options.seed);
  weights.matrix('fc.weight', taps.length * width, width);
  weights.ones('enc.output_norm.weight', width);
  weights.ones('output_norm.weight', width);
  weights.layer(0, width);
  weights.ones('blk.0.attn_q_norm.weight', HEAD_WIDTH);
  weights.ones('blk.0.attn_k_norm.weight', HEAD_WIDTH);
  if (options.draftVocabulary !== undefined) {
    weights.matrix('output.weight', width, rows, 1.5 / Math.sqrt(width));
    // Every second token, so that the order shows.
    const map = BigInt64Array.from({ length: rows }, (_, i) => BigInt((2 * i + 4) % vocabulary.length));
    weights.tensors['d2t'] = { dimensions: [rows], values: map };
  }
  if (options.shortlist === true) roundBlocks(weights.tensors['output.weight']?.values);
  if (options.markovRank !== undefined) {
    weights.matrix('markov_w1.weight', options.markovRank, vocabulary.length, 1);
    weights.matrix('markov_w2.weight', options.markovRank, rows, 1);
  }
  const metadata: Metadata = {
    ...sizes('dflash', 1, width),
    ...tokenizer(vocabulary),
    'tokenizer.ggml.mask_token_id': { type: 'u32', value: MASK },
    'dflash.block_size': { type: 'u32', value: options.blockSize },
    'dflash.sample_from_anchor': { type: 'bool', value: options.sampleFromAnchor },
    'dflash.target_layers': { type: 'i32s', value: taps },
    'specdiff.slot_init': { type: 'string', value: options.slotInit },
    ...(options.autoregressive === true ? { 'specdiff.autoregressive': { type: 'bool', value: true } } : {}),
    ...options.phrases,
    ...(options.shortlist === true ? identityFactors(width) : {}),
  };
  return { metadata, tensors: weights.tensors };
}

/** Multiples of a 64th up to 127 of them, which each block of 32 has: Q8_0 holds them as they are. */
export function roundBlocks(values: Float32Array | BigInt64Array | undefined): void {
  if (!(values instanceof Float32Array)) throw new Error('no head of floats');
  values.forEach((value, i) => {
    values[i] = i % 32 === 0 ? 127 / 64 : Math.max(-127, Math.min(127, Math.round(value * 64))) / 64;
  });
}

/** A shortlist's factors that leave the head as it is. */
function identityFactors(width: number): Metadata {
  const ONE = 0x3c00; // in 16 bits
  const identity = Array.from({ length: width * width }, (_, i) => (i % (width + 1) === 0 ? ONE : 0));
  return {
    'specdiff.shortlist.down': { type: 'i32s', value: identity },
    'specdiff.shortlist.spread': { type: 'i32s', value: identity },
  };
}

export interface TinyDditOptions {
  readonly seed: number;
  readonly architecture: 'sedd' | 'mdlm';
  readonly vocabulary?: readonly string[];
  readonly context?: number;
}

/** A diffusion language model with the tiny target's tokens; its logits spread about as much as the target's. */
export function tinyDdit(options: TinyDditOptions): { metadata: Metadata; tensors: Tensors } {
  const { architecture, seed, vocabulary = TINY_VOCABULARY, context = 128 } = options;
  const weights = new Weights(seed);
  const linear = (name: string, columns: number, rows: number, scale = 1 / Math.sqrt(columns)): void => {
    weights.matrix(`${name}.weight`, columns, rows, scale);
    weights.vector(`${name}.bias`, rows, 0.1);
  };
  // Rows beyond the vocabulary mean nothing, whatever they hold.
  const rows = Math.ceil(vocabulary.length / 32) * 32;
  weights.matrix('token_embd.weight', WIDTH, rows, 1);
  linear('time.0', FREQUENCIES, CONDITION);
  linear('time.1', CONDITION, CONDITION);
  for (let layer = 0; layer < 2; layer += 1) {
    const prefix = `blk.${layer}.`;
    weights.ones(`${prefix}attn_norm.weight`, WIDTH);
    weights.matrix(`${prefix}attn_qkv.weight`, WIDTH, 3 * WIDTH);
    weights.matrix(`${prefix}attn_output.weight`, WIDTH, WIDTH);
    weights.ones(`${prefix}ffn_norm.weight`, WIDTH);
    linear(`${prefix}ffn_up`, WIDTH, FEED_FORWARD);
    linear(`${prefix}ffn_down`, FEED_FORWARD, WIDTH);
    linear(`${prefix}modulation`, CONDITION, 6 * WIDTH);
  }
  weights.ones('output_norm.weight', WIDTH);
  linear('output_modulation', CONDITION, 2 * WIDTH);
  linear('output', WIDTH, rows, 1.5 / Math.sqrt(WIDTH));
  const own: Metadata = {
    [`${architecture}.context_length`]: { type: 'u32', value: context },
    [`${architecture}.condition_length`]: { type: 'u32', value: CONDITION },
    [`${architecture}.frequency_length`]: { type: 'u32', value: FREQUENCIES },
    [`${architecture}.time_conditioned`]: { type: 'bool', value: architecture === 'sedd' },
    [`${architecture}.vocab_size`]: { type: 'u32', value: vocabulary.length },
    [`${architecture}.mask_token_id`]: { type: 'u32', value: MASK },
    [`${architecture}.rope.freq_base`]: { type: 'f32', value: 10000 },
    [`${architecture}.attention.layer_norm_epsilon`]: { type: 'f32', value: 1e-5 },
  };
  return {
    metadata: { ...sizes(architecture, 2, WIDTH), ...tokenizer(vocabulary), ...own },
    tensors: weights.tensors,
  };
}

export function writeTinyDdit(folder: string, name: string, options: TinyDditOptions): string {
  const file = path.join(folder, `${name}.gguf`);
  const { metadata, tensors } = tinyDdit(options);
  writeGguf(file, metadata, tensors);
  return file;
}

export function writeTinyTarget(folder: string, seed = 1, architecture: TinyArchitecture = 'llama'): string {
  const file = path.join(folder, `target-${architecture}-${seed}.gguf`);
  const { metadata, tensors } = tinyTarget(seed, TINY_VOCABULARY, [], architecture);
  writeGguf(file, metadata, tensors);
  return file;
}

export function writeTinyDrafter(folder: string, name: string, options: TinyDrafterOptions): string {
  const file = path.join(folder, `${name}.gguf`);
  const { metadata, tensors } = tinyDrafter(options);
  writeGguf(file, metadata, tensors);
  return file;
}

/** Reads settings that came over the wire: what is missing or out of bounds falls back to the default. */
import {
  BACKENDS,
  DEFAULT_SETTINGS,
  DENOISING_SAMPLERS,
  DRAFTERS,
  KERNELS,
  type DenoisingSettings,
  type SamplingSettings,
  type ServerSettings,
} from '../protocol/settings';

/** T of one draft. */
export const MOST_DENOISING_STEPS = 64;

const DEFAULTS = DEFAULT_SETTINGS.server;

export function readServerSettings(value: unknown): ServerSettings {
  return {
    backend: oneOf(get(value, 'backend'), BACKENDS, DEFAULTS.backend),
    kernels: oneOf(get(value, 'kernels'), KERNELS, DEFAULTS.kernels),
    backendDirectories: strings(get(value, 'backendDirectories')),
    threads: whole(get(value, 'threads'), 0, 256, DEFAULTS.threads),
    idleMinutes: number(get(value, 'idleMinutes'), 0, 10_080, DEFAULTS.idleMinutes),
    targetPath: string(get(value, 'targetPath'), DEFAULTS.targetPath),
    drafterPath: string(get(value, 'drafterPath'), DEFAULTS.drafterPath),
    drafter: oneOf(get(value, 'drafter'), DRAFTERS, DEFAULTS.drafter),
    draftLength: whole(get(value, 'draftLength'), 0, 64, DEFAULTS.draftLength),
    denoising: readDenoising(get(value, 'denoising')),
    remember: flag(get(value, 'remember'), DEFAULTS.remember),
    ahead: flag(get(value, 'ahead'), DEFAULTS.ahead),
    contextTokens: whole(get(value, 'contextTokens'), 32, 131_072, DEFAULTS.contextTokens),
    suffixTokens: whole(get(value, 'suffixTokens'), 0, 65_536, DEFAULTS.suffixTokens),
    maxTokens: whole(get(value, 'maxTokens'), 1, 8192, DEFAULTS.maxTokens),
    summaryContextTokens: whole(get(value, 'summaryContextTokens'), 128, 131_072, DEFAULTS.summaryContextTokens),
    summaryMaxTokens: whole(get(value, 'summaryMaxTokens'), 1, 8192, DEFAULTS.summaryMaxTokens),
    sampling: readSampling(get(value, 'sampling')),
  };
}

function readDenoising(value: unknown): DenoisingSettings {
  const defaults = DEFAULTS.denoising;
  return {
    steps: whole(get(value, 'steps'), 0, MOST_DENOISING_STEPS, defaults.steps),
    sampler: oneOf(get(value, 'sampler'), DENOISING_SAMPLERS, defaults.sampler),
    hotStart: flag(get(value, 'hotStart'), defaults.hotStart),
  };
}

function readSampling(value: unknown): SamplingSettings {
  const defaults = DEFAULTS.sampling;
  return {
    temperature: number(get(value, 'temperature'), 0, 10, defaults.temperature),
    topK: whole(get(value, 'topK'), 0, 1_000_000, defaults.topK),
    topP: number(get(value, 'topP'), 0, 1, defaults.topP),
    minP: number(get(value, 'minP'), 0, 1, defaults.minP),
    repetitionPenalty: number(get(value, 'repetitionPenalty'), 0.01, 10, defaults.repetitionPenalty),
    seed: whole(get(value, 'seed'), 0, 0xffffffff, defaults.seed),
  };
}

function get(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;
}

function number(value: unknown, least: number, most: number, otherwise: number): number {
  return typeof value === 'number' && value >= least && value <= most ? value : otherwise;
}

function whole(value: unknown, least: number, most: number, otherwise: number): number {
  return Number.isInteger(value) ? number(value, least, most, otherwise) : otherwise;
}

function string(value: unknown, otherwise: string): string {
  return typeof value === 'string' ? value : otherwise;
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

function flag(value: unknown, otherwise: boolean): boolean {
  return typeof value === 'boolean' ? value : otherwise;
}

function oneOf<T extends string>(value: unknown, choices: readonly T[], otherwise: T): T {
  return choices.find((choice) => choice === value) ?? otherwise;
}

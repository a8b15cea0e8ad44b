/**
 * Reads every setting, checked and clamped, into protocol Settings; the only module that knows the keys.
 * A test compares the keys, defaults, bounds and choices here with package.json.
 */
import {
  BACKENDS,
  DEFAULT_SETTINGS,
  DRAFTERS,
  KERNELS,
  type EditorSettings,
  type ServerSettings,
  type Settings,
} from '../protocol/settings';

/** What vscode.workspace.getConfiguration('specdiff') offers of itself. */
export interface SettingsSource {
  get(key: string): unknown;
}

export interface Bounds {
  readonly minimum: number;
  readonly maximum: number;
  readonly integer: boolean;
}

const integer = (minimum: number, maximum: number): Bounds => ({ minimum, maximum, integer: true });
const real = (minimum: number, maximum: number): Bounds => ({ minimum, maximum, integer: false });

/** Bounds of the numeric settings, by key. */
export const BOUNDS = {
  debounceMs: integer(0, 2000),
  draftLength: integer(0, 64),
  denoisingSteps: integer(0, 64),
  'engine.threads': integer(0, 256),
  'engine.idleMinutes': real(0, 1440),
  'completion.contextTokens': integer(64, 32768),
  'completion.suffixTokens': integer(0, 16384),
  'completion.maxTokens': integer(1, 1024),
  'summary.contextTokens': integer(128, 32768),
  'summary.maxTokens': integer(16, 2048),
  'sampling.temperature': real(0, 2),
  'sampling.topK': integer(0, 1000),
  'sampling.topP': real(0, 1),
  'sampling.minP': real(0, 1),
  'sampling.repetitionPenalty': real(0.5, 2),
  'sampling.seed': integer(0, 4294967295),
} as const;

/** Reads the settings; a missing or unusable value gives the default, a number out of bounds the nearest bound. */
export function readSettings(source: SettingsSource): Settings {
  return { editor: readEditorSettings(source), server: readServerSettings(source) };
}

function readEditorSettings(source: SettingsSource): EditorSettings {
  const fallback = DEFAULT_SETTINGS.editor;
  return {
    enable: flag(source, 'enable', fallback.enable),
    automatic: flag(source, 'automatic', fallback.automatic),
    debounceMs: number(source, 'debounceMs', fallback.debounceMs),
    languages: flags(source, 'languages', fallback.languages),
  };
}

function readServerSettings(source: SettingsSource): ServerSettings {
  const fallback = DEFAULT_SETTINGS.server;
  const contextTokens = number(source, 'completion.contextTokens', fallback.contextTokens);
  return {
    backend: choice(source, 'engine.backend', BACKENDS, fallback.backend),
    kernels: choice(source, 'engine.kernels', KERNELS, fallback.kernels),
    backendDirectories: texts(source, 'engine.backendDirectories', fallback.backendDirectories),
    threads: number(source, 'engine.threads', fallback.threads),
    idleMinutes: number(source, 'engine.idleMinutes', fallback.idleMinutes),
    targetPath: text(source, 'target.path', fallback.targetPath),
    drafterPath: text(source, 'drafterModel.path', fallback.drafterPath),
    drafter: choice(source, 'drafter', DRAFTERS, fallback.drafter),
    draftLength: number(source, 'draftLength', fallback.draftLength),
    denoising: { ...fallback.denoising, steps: number(source, 'denoisingSteps', fallback.denoising.steps) },
    remember: flag(source, 'remember', fallback.remember),
    ahead: flag(source, 'completion.ahead', fallback.ahead),
    contextTokens,
    // The suffix is part of the context and must leave room for what is before the cursor.
    suffixTokens: Math.min(
      number(source, 'completion.suffixTokens', fallback.suffixTokens),
      Math.floor(contextTokens / 2),
    ),
    maxTokens: number(source, 'completion.maxTokens', fallback.maxTokens),
    summaryContextTokens: number(source, 'summary.contextTokens', fallback.summaryContextTokens),
    summaryMaxTokens: number(source, 'summary.maxTokens', fallback.summaryMaxTokens),
    sampling: {
      temperature: number(source, 'sampling.temperature', fallback.sampling.temperature),
      topK: number(source, 'sampling.topK', fallback.sampling.topK),
      topP: number(source, 'sampling.topP', fallback.sampling.topP),
      minP: number(source, 'sampling.minP', fallback.sampling.minP),
      repetitionPenalty: number(source, 'sampling.repetitionPenalty', fallback.sampling.repetitionPenalty),
      seed: number(source, 'sampling.seed', fallback.sampling.seed),
    },
  };
}

/** Whether completions are on for a language: its own entry, else "*", else on. */
export function isLanguageOn(languages: Readonly<Record<string, boolean>>, languageId: string): boolean {
  return languages[languageId] ?? languages['*'] ?? true;
}

function number(source: SettingsSource, key: keyof typeof BOUNDS, fallback: number): number {
  const value = source.get(key);
  if (typeof value !== 'number' || !Number.isFinite(value)) return fallback;
  const bounds = BOUNDS[key];
  const clamped = Math.min(Math.max(value, bounds.minimum), bounds.maximum);
  return bounds.integer ? Math.round(clamped) : clamped;
}

function flag(source: SettingsSource, key: string, fallback: boolean): boolean {
  const value = source.get(key);
  return typeof value === 'boolean' ? value : fallback;
}

function text(source: SettingsSource, key: string, fallback: string): string {
  const value = source.get(key);
  return typeof value === 'string' ? value.trim() : fallback;
}

function texts(source: SettingsSource, key: string, fallback: readonly string[]): readonly string[] {
  const value = source.get(key);
  if (!Array.isArray(value)) return fallback;
  const entries: readonly unknown[] = value;
  return entries.filter((entry) => typeof entry === 'string').filter((entry) => entry.trim() !== '');
}

function choice<T extends string>(source: SettingsSource, key: string, choices: readonly T[], fallback: T): T {
  const value = source.get(key);
  return choices.find((candidate) => candidate === value) ?? fallback;
}

function flags(
  source: SettingsSource,
  key: string,
  fallback: Readonly<Record<string, boolean>>,
): Readonly<Record<string, boolean>> {
  const value = source.get(key);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return fallback;
  const result: Record<string, boolean> = {};
  for (const [name, on] of Object.entries(value)) if (typeof on === 'boolean') result[name] = on;
  return result;
}

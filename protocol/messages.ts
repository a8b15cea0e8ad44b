/**
 * Every message between the three processes, in one place:
 *   extension (VS Code) ⇄ language server: JSON-RPC, methods `specdiff/…`;
 *   language server ⇄ engine process: the EngineCommand and EngineEvent unions over the child's IPC channel.
 * Units stand in the names: Ms, Tokens, Bytes. Text is UTF-16, positions are LSP positions.
 */
import { NotificationType, RequestType, RequestType0, type Position, type Range } from 'vscode-languageserver-protocol';
import type { BackendChoice, DenoisingSettings, DrafterName, SamplingSettings, ServerSettings } from './settings';

// ---------------------------------------------------------------- shared by all

/** The drafters that can have written a pass ("auto" is a plan, not a drafter). */
export type ActiveDrafter = Exclude<DrafterName, 'auto'>;

/**
 * Where an emitted token came from:
 * `draft` drafted and accepted, `correction` the target's own after a rejected draft token,
 * `bonus` the target's own after a wholly accepted draft, `plain` a pass without a draft.
 */
export type TokenOrigin = 'draft' | 'correction' | 'bonus' | 'plain';

/**
 * Why the controller planned a pass as it did: `best` the most promising draft; `plain` no draft worth its time;
 * `trial` a draft to learn from, paid from a small allowance; `refresh` a plain pass to keep its time up to date;
 * `wanted` the user's choice; `nothing` there was nothing to choose.
 */
export type PlanReason = 'best' | 'plain' | 'trial' | 'refresh' | 'wanted' | 'nothing';

export interface EmittedToken {
  /** Text of the token; a token that ends inside a character carries its text with the token that completes it. */
  readonly text: string;
  readonly origin: TokenOrigin;
}

/** One target verification pass. */
export interface VerificationStats {
  readonly drafter: ActiveDrafter;
  /** Drafted tokens that could be accepted: of a tree those of its longest path. */
  readonly drafted: number;
  readonly accepted: number;
  /** Drafted tokens that were verified: more than `drafted` for a tree. */
  readonly nodes: number;
  /** Rows of the target's pass: the last token's and each node's, and others where it was filled up for the sake of a GPU. */
  readonly rows: number;
  readonly emitted: number;
  readonly draftMs: number;
  /** 0 for a generation's first pass, whose row came with the prefill (see passes.ts). */
  readonly verifyMs: number;
  readonly reason: PlanReason;
  /** Tokens that the plan expected of the pass. */
  readonly expectedTokens: number;
  /** For each drafted token of `sedd` and `mdlm` the denoising step it was revealed in, from 1 on; 0: known from the last
   * draft (hot start). Absent for other drafters. */
  readonly denoisingSteps?: readonly number[];
}

/** A whole generation, counted over the text that was kept. */
export interface GenerationStats {
  readonly tokens: number;
  readonly verifications: number;
  /** τ: tokens emitted per target verification pass. */
  readonly tau: number;
  /** Accepted drafted tokens ÷ drafted tokens; null where nothing was drafted. */
  readonly draftAcceptance: number | null;
  /** Decoding only: tokens ÷ (draft + verify time), without the first, which came with the prefill. */
  readonly tokensPerSecond: number;
  /** tokensPerSecond ÷ that of plain decoding, from the measured time of a one-row pass; null while not measured. */
  readonly speedup: number | null;
  readonly promptTokens: number;
  /** Prompt tokens that had to be evaluated; the others were in the prefix cache. */
  readonly prefillTokens: number;
  readonly prefillMs: number;
  /** From the request's arrival in the server to the first block that may be shown; null where none was. */
  readonly firstBlockMs: number | null;
  readonly draftMs: number;
  readonly verifyMs: number;
  readonly target: string;
  readonly drafter: DrafterName;
  readonly backend: string;
}

// ---------------------------------------------------------------- extension ⇄ server

export type CompletionTrigger = 'automatic' | 'explicit';

export interface CompleteParams {
  /** Chosen by the client, unique while the client lives; blocks and telemetry carry it. */
  readonly requestId: number;
  readonly uri: string;
  /** Document version that `position` refers to; the server answers `stale` when it no longer holds it. */
  readonly version: number;
  readonly position: Position;
  readonly trigger: CompletionTrigger;
  /** The suggest widget's selected item: the completion continues after `text` put in place of `range`. */
  readonly selectedCompletion?: { readonly range: Range; readonly text: string };
}

export type GenerationOutcome = 'done' | 'cancelled' | 'stale' | 'refused' | 'failed';

export interface CompleteResult {
  readonly outcome: GenerationOutcome;
  /** Exactly the texts of the request's blocks joined. */
  readonly text: string;
  readonly stats: GenerationStats | null;
  /** One clear sentence with what to do next, for `refused` and `failed`. */
  readonly message?: string;
}

/** Client → server. Newest wins: a later request cancels the one before it. */
export const CompleteRequest = new RequestType<CompleteParams, CompleteResult, void>('specdiff/complete');

export interface BlockParams {
  readonly requestId: number;
  /** Text to append; never taken back. */
  readonly text: string;
}

/** Server → client: text of a completion or summary that may be shown now. */
export const BlockNotification = new NotificationType<BlockParams>('specdiff/block');

export interface SummarizeParams {
  readonly requestId: number;
  readonly uri: string;
  readonly version: number;
  readonly range: Range;
}

export interface SummarizeResult extends CompleteResult {
  /** Present when the selection did not fit the budget. */
  readonly cut?: { readonly usedLines: number; readonly selectedLines: number };
  /** Present when the limit of tokens ended the text, not the model. */
  readonly unfinished?: true;
}

/** Client → server; text comes by BlockNotification, cancelled by the request's token. */
export const SummarizeRequest = new RequestType<SummarizeParams, SummarizeResult, void>('specdiff/summarize');

export type GenerationKind = 'completion' | 'summary';

export interface TelemetryStarted {
  readonly event: 'started';
  readonly requestId: number;
  readonly kind: GenerationKind;
}
export interface TelemetryPrefilled {
  readonly event: 'prefilled';
  readonly requestId: number;
  readonly promptTokens: number;
  readonly prefillTokens: number;
  readonly prefillMs: number;
}
export interface TelemetryVerified {
  readonly event: 'verified';
  readonly requestId: number;
  readonly pass: VerificationStats;
  readonly tokens: readonly EmittedToken[];
}
export interface TelemetryFinished {
  readonly event: 'finished';
  readonly requestId: number;
  readonly outcome: GenerationOutcome;
  readonly stats: GenerationStats | null;
}
export type TelemetryParams = TelemetryStarted | TelemetryPrefilled | TelemetryVerified | TelemetryFinished;

/** Server → client: live while generating. Stays on this machine. */
export const TelemetryNotification = new NotificationType<TelemetryParams>('specdiff/telemetry');

export type EngineState =
  | { readonly state: 'idle' }
  | { readonly state: 'starting' }
  | { readonly state: 'importing'; readonly percent: number; readonly name: string }
  | { readonly state: 'ready' }
  | { readonly state: 'generating' }
  /** The target's file is missing; offer "Import a model file…". */
  | { readonly state: 'noModel'; readonly message: string }
  | { readonly state: 'error'; readonly message: string };

export interface StateParams {
  readonly engine: EngineState;
  /** What is loaded; null while nothing is. */
  readonly loaded: EngineDescription | null;
  /** Another window's engine runs on this machine too, and takes memory of its own. */
  readonly otherEngines: number;
}

/** Server → client, on every change. */
export const StateNotification = new NotificationType<StateParams>('specdiff/state');

/** Server → client: shown to the user, each text at most once a session. */
export interface UserMessageParams {
  readonly level: 'info' | 'warning' | 'error';
  readonly message: string;
}
export const UserMessageNotification = new NotificationType<UserMessageParams>('specdiff/userMessage');

/** Client → server: the settings, whole. They also come as initializationOptions (InitializationOptions). */
export const SettingsNotification = new NotificationType<ServerSettings>('specdiff/settings');

export interface InitializationOptions {
  readonly settings: ServerSettings;
  /** Root of the installed extension: native/, models/ lie below it. */
  readonly extensionRoot: string;
  /** Machine-wide folder that outlives updates: imported models, probe verdicts. */
  readonly storageDirectory: string;
  /** False in a restricted workspace: other files than the request's own are not read. */
  readonly workspaceTrusted: boolean;
}

/** Client → server: copies a GGUF file into storage after checking it, and uses it as target from then on. */
export interface ImportModelParams {
  readonly path: string;
}
export interface ImportModelResult {
  readonly ok: boolean;
  readonly message: string;
}
export const ImportModelRequest = new RequestType<ImportModelParams, ImportModelResult, void>('specdiff/importModel');

/** Client → server: ends the engine process; the next request starts a fresh one. */
export const RestartEngineRequest = new RequestType0<void, void>('specdiff/restartEngine');

/** Client → server: versions, devices, settings, last errors as Markdown; no document text. */
export const DiagnosticsRequest = new RequestType0<string, void>('specdiff/diagnostics');

// ---------------------------------------------------------------- server ⇄ engine process

export interface DeviceDescription {
  readonly name: string;
  readonly description: string;
  readonly kind: 'cpu' | 'gpu' | 'integrated' | 'other';
  readonly memoryBytes: number;
}

/** What was picked to compute on, and why not another. */
export interface BackendDescription {
  /** Short name for statistics and status: "CPU (specdiff haswell, AVX2)", "CUDA (NVIDIA H200)". */
  readonly name: string;
  readonly devices: readonly DeviceDescription[];
  /** One line for each backend, and for CPU kernels, not used, with its reason. */
  readonly notes: readonly string[];
}

export interface TargetDescription {
  readonly path: string;
  readonly name: string;
  readonly architecture: string;
  readonly fileBytes: number;
  readonly vocabularySize: number;
  readonly contextTokens: number;
  /** The model's metadata has fill-in-the-middle sentinels that each encode to one token. */
  readonly fillInTheMiddle: boolean;
  readonly chatTemplate: boolean;
}

export interface DrafterDescription {
  readonly path: string;
  readonly name: string;
  /**
   * A block-diffusion drafter, a causal one (on the target's hidden states, or a language model of its own), or a language
   * model of discrete diffusion.
   */
  readonly kind: 'diffusion' | 'causal' | 'sedd' | 'mdlm';
  /** Most tokens one draft can hold (γ). */
  readonly maxDraftLength: number;
  /** What the slots start from. */
  readonly slotInit: 'mask' | 'lookup';
}

export interface EngineDescription {
  readonly target: TargetDescription;
  /** null where none belongs to the target, or where `drafterNote` says why it was refused. */
  readonly drafter: DrafterDescription | null;
  readonly drafterNote: string | null;
  readonly backend: BackendDescription;
  readonly threads: number;
  readonly loadMs: number;
}

export interface EngineLoadOptions {
  /** Folder with llama.cpp's libraries and the addon. */
  readonly nativeDirectory: string;
  /** Further folders where backend libraries (CUDA, Vulkan) may lie. */
  readonly backendDirectories: readonly string[];
  /** File name of the CPU backend library to use; null lets llama.cpp's own scoring choose. */
  readonly cpuLibrary: string | null;
  /** Why `cpuLibrary` is not the one with our kernels; null where it is. */
  readonly kernelsNote: string | null;
  readonly backend: BackendChoice;
  readonly threads: number;
  readonly contextTokens: number;
  readonly targetPath: string;
  readonly drafterPath: string | null;
  /** What an engine with the same files on this machine had learned about costs and drafts; null for nothing. */
  readonly learned: string | null;
}

export interface GenerateOptions {
  readonly drafter: DrafterName;
  readonly draftLength: number;
  readonly denoising: DenoisingSettings;
  readonly maxTokens: number;
  readonly remember: boolean;
  readonly sampling: SamplingSettings;
}

export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

/** Server → engine process. `id` pairs an answer with its question. */
export type EngineCommand =
  | { readonly command: 'load'; readonly id: number; readonly options: EngineLoadOptions }
  /** Answers `tokenized`. Special tokens in `texts` are plain text unless `parseSpecial`. */
  | {
      readonly command: 'tokenize';
      readonly id: number;
      readonly texts: readonly string[];
      readonly addBos: boolean;
      readonly parseSpecial: boolean;
    }
  /** Answers `templated`: the model's own chat template, up to the assistant's turn. */
  | { readonly command: 'template'; readonly id: number; readonly messages: readonly ChatMessage[] }
  | {
      readonly command: 'generate';
      readonly id: number;
      readonly prompt: readonly number[];
      /** Tokens beside the prompt that prompt lookup may copy from (open files); newest last. */
      readonly lookup: readonly number[];
      readonly suffix: readonly number[];
      readonly options: GenerateOptions;
    }
  | { readonly command: 'cancel'; readonly id: number }
  | { readonly command: 'close' };

/** Engine process → server. */
export type EngineEvent =
  | {
      readonly event: 'loaded';
      readonly id: number;
      readonly description: EngineDescription;
      readonly fim: FimTokens | null;
    }
  | { readonly event: 'tokenized'; readonly id: number; readonly tokens: readonly (readonly number[])[] }
  | { readonly event: 'templated'; readonly id: number; readonly text: string }
  | {
      readonly event: 'prefilled';
      readonly id: number;
      readonly promptTokens: number;
      readonly prefillTokens: number;
      readonly prefillMs: number;
    }
  | {
      readonly event: 'verified';
      readonly id: number;
      readonly pass: VerificationStats;
      readonly tokens: readonly EmittedToken[];
    }
  | {
      readonly event: 'generated';
      readonly id: number;
      readonly reason: FinishReason;
      readonly plainPassMs: number | null;
    }
  /** What the engine has learned since it started, for the next start's `learned`. */
  | { readonly event: 'learned'; readonly id: null; readonly state: string }
  | { readonly event: 'failed'; readonly id: number; readonly message: string }
  | { readonly event: 'log'; readonly level: 'debug' | 'info' | 'warning' | 'error'; readonly text: string };

export type FinishReason = 'endOfText' | 'maxTokens' | 'contextFull' | 'cancelled';

/** Token ids of the fill-in-the-middle sentinels. */
export interface FimTokens {
  readonly prefix: number;
  readonly suffix: number;
  readonly middle: number;
}

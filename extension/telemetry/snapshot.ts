/** What the telemetry view shows and the messages it exchanges with the extension; used on both sides of the webview. */
import type {
  EmittedToken,
  GenerationKind,
  GenerationOutcome,
  GenerationStats,
  VerificationStats,
} from '../../protocol/messages';

/** Sums over verification passes, and what follows from them; a ratio is null where its divisor is 0. */
export interface Figures {
  readonly passes: number;
  readonly tokens: number;
  readonly drafted: number;
  readonly accepted: number;
  readonly draftMs: number;
  readonly verifyMs: number;
  readonly prefillMs: number;
  /** Tokens emitted per verification pass. */
  readonly tau: number | null;
  /** Accepted drafted tokens ÷ drafted tokens. */
  readonly draftAcceptance: number | null;
  /** Tokens ÷ (draft + verify time). */
  readonly tokensPerSecond: number | null;
  /** The same for plain decoding, from the engine's measured one-row pass; null while it has not been measured. */
  readonly plainTokensPerSecond: number | null;
  readonly speedup: number | null;
}

export interface GenerationRecord {
  readonly requestId: number;
  readonly kind: GenerationKind;
  readonly outcome: GenerationOutcome | 'running';
  readonly promptTokens: number;
  readonly prefillTokens: number;
  readonly tokens: readonly EmittedToken[];
  readonly passes: readonly VerificationStats[];
  readonly figures: Figures;
  /** The server's own account, once finished. */
  readonly stats: GenerationStats | null;
}

export interface TelemetrySnapshot {
  readonly current: GenerationRecord | null;
  readonly session: Figures & { readonly generations: number };
  /** Suggestions, not tokens: what the user was shown and took. */
  readonly suggestions: { readonly shown: number; readonly accepted: number };
}

/** Extension → webview. */
export interface SnapshotMessage {
  readonly type: 'snapshot';
  readonly snapshot: TelemetrySnapshot;
}

/** Webview → extension. */
export interface ViewMessage {
  readonly type: 'ready' | 'reset' | 'export';
}

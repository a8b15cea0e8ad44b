/**
 * The whole surface of the native addon (native/addon). Nothing else in TypeScript touches native code.
 * All methods throw or reject with an Error whose message is one clear sentence with what to do next.
 */
import type {
  BackendDescription,
  ChatMessage,
  DrafterDescription,
  FimTokens,
  FinishReason,
  TargetDescription,
  TokenOrigin,
  VerificationStats,
} from '../../protocol/messages';
import type { BackendChoice, DenoisingSettings, DrafterName, SamplingSettings } from '../../protocol/settings';

export interface CpuLibrary {
  /** File name in the native directory, e.g. libggml-cpu-zen4.so. */
  readonly file: string;
  /** llama.cpp's own score for this machine; 0 means that it can't run here. */
  readonly score: number;
}

export interface InitializeOptions {
  readonly nativeDirectory: string;
  readonly backendDirectories: readonly string[];
  readonly cpuLibrary: string | null;
  readonly backend: BackendChoice;
  readonly onLog: (level: 'debug' | 'info' | 'warning' | 'error', text: string) => void;
}

export interface LoadOptions {
  readonly targetPath: string;
  readonly drafterPath: string | null;
  /** 0 chooses the physical cores left to us. */
  readonly threads: number;
  readonly contextTokens: number;
  /** NativeEngine.learned() of an engine with the same files on this machine; null for nothing. */
  readonly learned: string | null;
  /** Most nodes of a tree that jobs may ask for; 0 for chains alone. */
  readonly treeNodes: number;
}

/**
 * How a sampled job's drafts are judged (docs/exactness.md); `auto` accepts the most. All are exact but `paper`, SpecDiff's
 * published rule, which is approximate with more than one denoising step and nothing in the product uses.
 */
export type AcceptanceRule = 'auto' | 'tokens' | 'block' | 'match' | 'hybrid' | 'paper';

export interface GenerateJob {
  readonly prompt: Int32Array;
  readonly lookup: Int32Array;
  /** Text after the place where the job writes, for drafters that can look at it. */
  readonly suffix: Int32Array;
  readonly maxTokens: number;
  readonly drafter: DrafterName;
  /** γ; 0 lets the controller choose. */
  readonly draftLength: number;
  /** Nodes of the trees to draft; 0 for chains. */
  readonly treeNodes: number;
  readonly acceptance: AcceptanceRule;
  readonly denoising: DenoisingSettings;
  /** What it writes is counted among the target's turns of phrase, for later jobs that remember; without, what was counted is forgotten. */
  readonly remember: boolean;
  readonly sampling: SamplingSettings;
}

export interface NativePrefill {
  readonly promptTokens: number;
  readonly prefillTokens: number;
  readonly prefillMs: number;
}

/** One verification pass. Arrays have one entry an emitted token. */
export interface NativePass extends VerificationStats {
  readonly tokens: Int32Array;
  readonly origins: readonly TokenOrigin[];
  /** UTF-8 bytes of each token; a character may be split between tokens. */
  readonly bytes: readonly Uint8Array[];
}

export interface NativeResult {
  readonly reason: FinishReason;
  /** Running estimate of a one-row pass's time; null before the first one was measured. */
  readonly plainPassMs: number | null;
}

export interface NativeEngine {
  readonly target: TargetDescription;
  readonly drafter: DrafterDescription | null;
  /** Why the drafter given was not taken, or null. */
  readonly drafterNote: string | null;
  /** Which of the target's weights our CPU kernels leave to llama.cpp's own code, or null. */
  readonly weightsNote: string | null;
  readonly threads: number;
  readonly fim: FimTokens | null;
  tokenize(text: string, addBos: boolean, parseSpecial: boolean): Int32Array;
  applyChatTemplate(messages: readonly ChatMessage[]): string;
  /**
   * Decodes on a thread of its own; both callbacks run on the JS thread, in order, before the promise settles.
   * One job at a time: a second call rejects. `cancel()` ends the job within one decoding step.
   */
  generate(
    job: GenerateJob,
    onPrefill: (prefill: NativePrefill) => void,
    onPass: (pass: NativePass) => void,
  ): Promise<NativeResult>;
  cancel(): void;
  /** What the controller knows of this machine and these models, as text; throws while a job runs. */
  learned(): string;
  /** Frees the models; waits for a running job to end. */
  dispose(): Promise<void>;
}

export interface NativeAddon {
  /** CPU backend libraries in a folder, best first. Loads each one only to ask for its score. */
  listCpuLibraries(nativeDirectory: string): CpuLibrary[];
  /** Loads the backends; once a process, before anything else. */
  initialize(options: InitializeOptions): BackendDescription;
  /** Small matrix products and attention of every common type, compared with double precision: traps here if it ever will. */
  exercise(threads: number): void;
  /** Checks the files first: a corrupt, truncated, wrong or mismatched model rejects, it never aborts. */
  load(options: LoadOptions): Promise<NativeEngine>;
}

/**
 * Every setting the product has, as the server and the CLI see it, and its default.
 * extension/settings.ts reads them from VS Code; a test compares these defaults with package.json.
 */

/**
 * Names of the drafters, the same in settings, CLI and telemetry; `joint` is lookup and diffusion in one draft, `sedd` and
 * `mdlm` are diffusion language models of their own.
 */
export const DRAFTERS = ['auto', 'none', 'ngram', 'diffusion', 'joint', 'causal', 'sedd', 'mdlm'] as const;
export type DrafterName = (typeof DRAFTERS)[number];

/** How masked slots become tokens over several steps (native/core/denoising.h). */
export const DENOISING_SAMPLERS = ['confidence', 'euler', 'tweedie', 'denoiser'] as const;
export type DenoisingSampler = (typeof DENOISING_SAMPLERS)[number];

/** How `sedd` and `mdlm` denoise. */
export interface DenoisingSettings {
  /** T, at most 64; 0 lets the controller choose. */
  readonly steps: number;
  readonly sampler: DenoisingSampler;
  /** What the last draft's rejected slots looked like starts the next one part-way. */
  readonly hotStart: boolean;
}

/** Whose CPU kernels compute: ours where they run, or llama.cpp's own. */
export const KERNELS = ['auto', 'stock'] as const;
export type KernelChoice = (typeof KERNELS)[number];

export const BACKENDS = ['auto', 'cpu', 'cuda', 'vulkan', 'metal'] as const;
export type BackendChoice = (typeof BACKENDS)[number];

/** How the target's distribution p is made from its logits. */
export interface SamplingSettings {
  /** 0 is greedy. */
  readonly temperature: number;
  /** 0 switches the filter off. */
  readonly topK: number;
  /** 1 switches the filter off. */
  readonly topP: number;
  /** 0 switches the filter off. */
  readonly minP: number;
  /** 1 switches the penalty off. */
  readonly repetitionPenalty: number;
  readonly seed: number;
}

/** Settings that the language server needs; sent whole at start and on every change. */
export interface ServerSettings {
  readonly backend: BackendChoice;
  readonly kernels: KernelChoice;
  /** Further folders to look for GPU backend libraries in; the package itself carries only the CPU ones. */
  readonly backendDirectories: readonly string[];
  /** 0 chooses the physical cores left to us. */
  readonly threads: number;
  /** Minutes without a request after which the engine gives its memory back; 0 keeps it. */
  readonly idleMinutes: number;
  /** GGUF file of the target; empty means the default target. */
  readonly targetPath: string;
  /** GGUF file of the drafter; empty means the one that belongs to the target. */
  readonly drafterPath: string;
  readonly drafter: DrafterName;
  /** γ, drafted tokens a pass; 0 lets the controller choose. */
  readonly draftLength: number;
  readonly denoising: DenoisingSettings;
  /** What the target writes is counted among its turns of phrase, which drafts are made from, in the engine's memory alone. */
  readonly remember: boolean;
  /** The completion that would come next is begun while the user reads the last one. */
  readonly ahead: boolean;
  /** Prompt budget of a completion, in the target's tokens, prefix and suffix together. */
  readonly contextTokens: number;
  /** Part of contextTokens kept for text after the cursor. */
  readonly suffixTokens: number;
  readonly maxTokens: number;
  readonly summaryContextTokens: number;
  readonly summaryMaxTokens: number;
  readonly sampling: SamplingSettings;
}

/** Settings that only the VS Code side needs. */
export interface EditorSettings {
  readonly enable: boolean;
  /** Suggest while typing; off leaves the explicit trigger. */
  readonly automatic: boolean;
  readonly debounceMs: number;
  /** Language id to on/off; "*" is every language not named. */
  readonly languages: Readonly<Record<string, boolean>>;
}

export interface Settings {
  readonly editor: EditorSettings;
  readonly server: ServerSettings;
}

export const DEFAULT_SETTINGS: Settings = {
  editor: {
    enable: true,
    automatic: true,
    debounceMs: 60,
    languages: { '*': true },
  },
  server: {
    backend: 'auto',
    kernels: 'auto',
    backendDirectories: [],
    threads: 0,
    idleMinutes: 10,
    targetPath: '',
    drafterPath: '',
    drafter: 'auto',
    draftLength: 0,
    denoising: { steps: 0, sampler: 'confidence', hotStart: true },
    remember: true,
    ahead: true,
    contextTokens: 512,
    suffixTokens: 96,
    maxTokens: 64,
    summaryContextTokens: 768,
    summaryMaxTokens: 128,
    sampling: { temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, seed: 0 },
  },
};

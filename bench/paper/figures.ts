/** The figures of an arm, from its runs and those of vanilla decoding on the same prompts. */
import { speedOf, type RunRecord } from './record';

/** Of a list of values: the middle one, the quartiles, the ends. */
export interface Spread {
  readonly median: number;
  readonly lower: number;
  readonly upper: number;
  readonly least: number;
  readonly most: number;
}

export interface Figures {
  readonly prompts: number;
  readonly tokens: number;
  /** Tokens emitted per target pass, the prefill's own among them. */
  readonly tau: number;
  readonly acceptedPerDraft: number | null;
  /** Accepted ÷ drafted. */
  readonly draftAcceptance: number | null;
  /** Chance that the token at each place is accepted where those before it were. */
  readonly acceptanceByPlace: readonly number[];
  readonly tokensPerSecond: number;
  /** Each prompt's tokens/s to vanilla decoding's; null where no prompt has both. */
  readonly speedup: Spread | null;
  /** Part of the decoding time spent drafting. */
  readonly draftShare: number;
  /** Of a draft, without the first; null where there was no other. */
  readonly draftMs: number | null;
  /** Of a target pass. */
  readonly verifyMs: number;
  /** Median time of the first draft, which reads the prompt. */
  readonly firstDraftMs: number | null;
  /** Estimated, see flops.ts. */
  readonly flopsPerToken: number;
  readonly flopsToVanilla: number;
  /** Prompts whose greedy text is not vanilla decoding's; null where texts are sampled. */
  readonly changed: number | null;
}

export function figuresOf(runs: readonly RunRecord[], vanilla: readonly RunRecord[]): Figures {
  const total = (of: (run: RunRecord) => number, list = runs): number => list.reduce((sum, run) => sum + of(run), 0);
  const drafts = total((run) => run.drafts);
  const timedDrafts = total((run) => run.decoding.drafts);
  const drafted = total((run) => run.drafted);
  const accepted = total((run) => run.accepted);
  const draftMs = total((run) => run.decoding.draftMs);
  const verifyMs = total((run) => run.decoding.verifyMs);
  const decoded = total((run) => run.decoding.tokens);
  const plainSpeeds = new Map(vanilla.map((run) => [run.id, speedOf(run)]));
  const ratios = runs.flatMap((run) => {
    const [own, plain] = [speedOf(run), plainSpeeds.get(run.id) ?? null];
    return own === null || plain === null ? [] : [own / plain];
  });
  const firsts = runs.flatMap((run) => run.firstDraftMs ?? []);
  const flops = (list: readonly RunRecord[]): number =>
    total((run) => run.decoding.flops, [...list]) / total((run) => run.decoding.tokens, [...list]);
  const places = Math.max(0, ...runs.map((run) => run.tested.length));
  return {
    prompts: runs.length,
    tokens: total((run) => run.tokens),
    tau: rounded(total((run) => run.tokens) / total((run) => run.passes)),
    acceptedPerDraft: drafts === 0 ? null : rounded(accepted / drafts),
    draftAcceptance: drafted === 0 ? null : rounded(accepted / drafted),
    acceptanceByPlace: Array.from({ length: places }, (_, place) =>
      rounded(total((run) => run.passed[place] ?? 0) / total((run) => run.tested[place] ?? 0)),
    ),
    tokensPerSecond: rounded((1000 * decoded) / (draftMs + verifyMs)),
    speedup: spreadOf(ratios),
    draftShare: rounded(draftMs / (draftMs + verifyMs)),
    draftMs: timedDrafts === 0 ? null : rounded(draftMs / timedDrafts),
    verifyMs: rounded(verifyMs / total((run) => run.decoding.passes)),
    firstDraftMs: spreadOf(firsts)?.median ?? null,
    flopsPerToken: Math.round(flops(runs)),
    flopsToVanilla: rounded(flops(runs) / flops(vanilla)),
    changed: runs.some((run) => run.changed === null) ? null : runs.filter((run) => run.changed).length,
  };
}

/** Quartiles lie between two values where their place does; null for no values. */
export function spreadOf(values: readonly number[]): Spread | null {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number => {
    const place = share * (sorted.length - 1);
    const [low, high] = [sorted[Math.floor(place)] ?? NaN, sorted[Math.ceil(place)] ?? NaN];
    return rounded(low + (high - low) * (place - Math.floor(place)));
  };
  if (sorted.length === 0) return null;
  return { median: at(0.5), lower: at(0.25), upper: at(0.75), least: at(0), most: at(1) };
}

/** Nothing measured (0 ÷ 0) is 0. */
function rounded(value: number): number {
  return Number.isFinite(value) ? Number(value.toFixed(3)) : 0;
}

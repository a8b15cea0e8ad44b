/** The rows of the paper's tables: how a prompt may be continued. */
import type { ActiveDrafter } from '../../protocol/messages';
import type { AcceptanceRule } from '../../server/engine/addon';
import type { Options } from './options';

export type ArmKind = 'vanilla' | 'standard' | 'specdiff';

export interface Arm {
  readonly name: string;
  readonly kind: ArmKind;
  readonly drafter: ActiveDrafter;
  readonly temperature: number;
  /** γ; 0 for vanilla. */
  readonly length: number;
  /** T; 0 where the drafter does not denoise. */
  readonly steps: number;
  readonly rule: AcceptanceRule;
  /** Drafts look at the prompt's suffix; the target never does. */
  readonly suffix: boolean;
}

export interface DrafterLimits {
  readonly kind: ActiveDrafter;
  readonly maxDraftLength: number;
}

/** Of a causal drafter (native/core/causal_drafter.cpp). */
const LONGEST_CAUSAL_DRAFT = 16;

/**
 * Vanilla, standard speculative decoding for every γ, and SpecDiff over γ × T, at every temperature; above 0 with the
 * published rule besides, where T > 1 (with one step it is an exact rule). Lengths that a drafter can't have are left
 * out; a drafter on the target's hidden states denoises in one step, and sees no text behind the draft.
 */
export function armsOf(options: Options, drafter: DrafterLimits): Arm[] {
  const specdiffLengths = options.lengths.filter((length) => length <= drafter.maxDraftLength);
  if (specdiffLengths.length === 0) {
    throw new Error(
      `This drafter drafts at most ${drafter.maxDraftLength} tokens; give --gamma some that are no more.`,
    );
  }
  const causalLengths =
    options.causal === null ? [] : options.lengths.filter((length) => length <= LONGEST_CAUSAL_DRAFT);
  const denoises = drafter.kind === 'sedd' || drafter.kind === 'mdlm';
  return options.temperatures.flatMap((temperature) => {
    const at = `t${temperature}`;
    const common = { temperature, rule: options.rule, suffix: false };
    const standard = causalLengths.map((length): Arm => ({
      ...common,
      ...{ name: `standard γ${length} ${at}`, kind: 'standard', drafter: 'causal', length, steps: 0 },
    }));
    const specdiff = specdiffLengths.flatMap((length) =>
      (denoises ? options.steps.filter((steps) => steps <= length) : [1]).flatMap((steps): Arm[] => {
        const arm: Arm = {
          ...common,
          ...{ name: `SpecDiff γ${length} T${steps} ${at}`, kind: 'specdiff', drafter: drafter.kind, length, steps },
        };
        const infilling: Arm[] =
          denoises && options.suffix ? [{ ...arm, name: `${arm.name} suffix`, suffix: true }] : [];
        if (temperature === 0 || steps === 1) return [arm, ...infilling];
        return [arm, ...infilling, { ...arm, name: `${arm.name} paper`, rule: 'paper' }];
      }),
    );
    const vanilla: Arm = {
      ...common,
      ...{ name: `vanilla ${at}`, kind: 'vanilla', drafter: 'none', length: 0, steps: 0 },
    };
    return [vanilla, ...standard, ...specdiff];
  });
}

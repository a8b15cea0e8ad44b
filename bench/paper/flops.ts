/**
 * An estimate of the floating-point operations of a run, from the models' sizes and what was evaluated: 2 for each weight
 * of a matrix and row that goes through it (the head only for rows whose logits are wanted), and for attention 4 · layers ·
 * attention width for each row and each token that it attends to. Norms, softmaxes, sampling and the lookup of tokens are
 * left out, and so are padding and what a rejected draft costs besides. Dense models only: all experts are counted.
 */
import type { VerificationStats } from '../../protocol/messages';
import type { ModelSize } from './model-size';

export interface Sizes {
  readonly target: ModelSize;
  /** null for vanilla decoding. */
  readonly drafter: ModelSize | null;
}

export interface Evaluated {
  /** Rows that go through the whole network. */
  readonly rows: number;
  /** Of them, rows whose logits are wanted. */
  readonly outputs: number;
  /** Tokens that each of them attends to. */
  readonly attended: number;
}

/** What the draft's pass is counted from, besides its own statistics. */
export interface Moment {
  /** Tokens of prompt and text before the pass. */
  readonly length: number;
  readonly promptTokens: number;
  /** Tokens that came since the last draft. */
  readonly unread: number;
  /** The last draft was accepted as a whole. */
  readonly wholly: boolean;
}

/** Text that a standalone diffusion drafter reads of a prompt (native/core/standalone_drafter.cpp). */
const TEXT_WINDOW = 256;

export function evaluationFlops(size: ModelSize, { rows, outputs, attended }: Evaluated): number {
  const products = 2 * (size.bodyWeights * rows + size.headWeights * outputs);
  return products + 4 * size.layers * size.attentionWidth * rows * attended;
}

/** Of one pass of the loop: the draft and its verification. */
export function passFlops(pass: VerificationStats, moment: Moment, { target, drafter }: Sizes): number {
  const rows = pass.drafted + 1;
  const verification = evaluationFlops(target, { rows, outputs: rows, attended: moment.length + pass.drafted });
  return verification + (drafter === null || pass.drafted === 0 ? 0 : draftFlops(pass, moment, drafter, target));
}

function draftFlops(pass: VerificationStats, moment: Moment, drafter: ModelSize, target: ModelSize): number {
  const slots = pass.drafted;
  switch (pass.drafter) {
    case 'causal': {
      // It reads the last token and its own but the last; after a wholly accepted draft, that one too.
      const rows = slots + (moment.wholly ? 1 : 0);
      return evaluationFlops(drafter, { rows, outputs: slots, attended: moment.length + slots });
    }
    case 'sedd':
    case 'mdlm': {
      const steps = new Set((pass.denoisingSteps ?? []).filter((step) => step > 0)).size;
      const window = Math.min(moment.promptTokens, TEXT_WINDOW) + moment.length - moment.promptTokens;
      const rows = slots * steps + moment.unread;
      return evaluationFlops(drafter, { rows, outputs: slots * steps, attended: window + slots });
    }
    default: {
      // A block on the target's hidden states: its head is the target's where it has none of its own.
      const headed = drafter.headWeights > 0 ? drafter : { ...drafter, headWeights: target.headWeights };
      const block = evaluationFlops(headed, { rows: slots, outputs: slots, attended: moment.length + slots });
      return block + 2 * drafter.readerWeights * moment.unread;
    }
  }
}

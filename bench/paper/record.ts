/** What one arm did on one prompt. */
import { isDecoding } from '../../protocol/passes';
import type { NativePass } from '../../server/engine/addon';
import { passFlops, type Sizes } from './flops';
import type { Task } from './prompts';

export interface RunRecord {
  readonly id: string;
  readonly task: Task;
  readonly tokens: number;
  readonly passes: number;
  readonly drafts: number;
  readonly drafted: number;
  readonly accepted: number;
  /** By place in the draft: drafts that were accepted up to it, and those of them in which it was accepted too. */
  readonly tested: readonly number[];
  readonly passed: readonly number[];
  /** Time of the first draft, in which the drafter also reads the prompt; null without a draft. */
  readonly firstDraftMs: number | null;
  /**
   * Decoding alone: without the token that comes with the prefill, and without the first drafted pass, in which the
   * drafter reads the prompt as the target does in its prefill.
   */
  readonly decoding: {
    readonly tokens: number;
    readonly passes: number;
    readonly drafts: number;
    readonly draftMs: number;
    readonly verifyMs: number;
    readonly flops: number;
  };
  /** The text is not vanilla decoding's: only said of greedy text. */
  readonly changed: boolean | null;
}

export function recordOf(
  prompt: { readonly id: string; readonly task: Task; readonly tokens: number },
  passes: readonly NativePass[],
  sizes: Sizes,
  vanilla: readonly number[] | null,
): RunRecord {
  const sum = { tokens: 0, drafts: 0, drafted: 0, accepted: 0 };
  const decoding = { tokens: 0, passes: 0, drafts: 0, draftMs: 0, verifyMs: 0, flops: 0 };
  const tested: number[] = [];
  const passed: number[] = [];
  let firstDraftMs: number | null = null;
  let unread = 0;
  let wholly = false;
  for (const pass of passes) {
    const length = prompt.tokens + sum.tokens;
    const isDraft = pass.drafted > 0;
    const reads = isDraft && firstDraftMs === null;
    if (reads) firstDraftMs = pass.draftMs;
    if (isDecoding(pass) && !reads) {
      decoding.tokens += pass.emitted;
      decoding.passes++;
      decoding.drafts += isDraft ? 1 : 0;
      decoding.draftMs += pass.draftMs;
      decoding.verifyMs += pass.verifyMs;
      decoding.flops += passFlops(pass, { length, promptTokens: prompt.tokens, unread, wholly }, sizes);
    }
    unread = isDraft ? pass.emitted : unread + pass.emitted;
    if (isDraft) wholly = pass.accepted === pass.drafted;
    sum.tokens += pass.emitted;
    sum.drafts += isDraft ? 1 : 0;
    sum.drafted += pass.drafted;
    sum.accepted += pass.accepted;
    for (let place = 0; place < Math.min(pass.drafted, pass.accepted + 1); place++) {
      tested[place] = (tested[place] ?? 0) + 1;
      passed[place] = (passed[place] ?? 0) + (place < pass.accepted ? 1 : 0);
    }
  }
  const text = passes.flatMap((pass) => [...pass.tokens]);
  return {
    id: prompt.id,
    task: prompt.task,
    ...sum,
    passes: passes.length,
    tested,
    passed,
    firstDraftMs,
    decoding,
    changed: vanilla === null ? null : text.length !== vanilla.length || text.some((token, i) => token !== vanilla[i]),
  };
}

/** Tokens a second of decoding; null where nothing was decoded. */
export function speedOf({ decoding }: RunRecord): number | null {
  const ms = decoding.draftMs + decoding.verifyMs;
  return ms > 0 && decoding.tokens > 0 ? (1000 * decoding.tokens) / ms : null;
}

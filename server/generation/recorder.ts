/** Records a generation's passes and counts its statistics over the text that was kept. */
import type { EmittedToken, GenerationStats, VerificationStats } from '../../protocol/messages';
import { isDecoding } from '../../protocol/passes';
import type { DrafterName } from '../../protocol/settings';
import type { PrefilledEvent, VerifiedEvent } from '../engine/child';

export interface StatsContext {
  readonly firstBlockMs: number | null;
  readonly plainPassMs: number | null;
  readonly target: string;
  readonly drafter: DrafterName;
  readonly backend: string;
}

interface RecordedPass {
  readonly pass: VerificationStats;
  readonly tokens: readonly EmittedToken[];
}

export class GenerationRecorder {
  private readonly passes: RecordedPass[] = [];
  private prefill = { promptTokens: 0, prefillTokens: 0, prefillMs: 0 };
  private raw = '';

  prefilled({ promptTokens, prefillTokens, prefillMs }: PrefilledEvent): void {
    this.prefill = { promptTokens, prefillTokens, prefillMs };
  }

  verified({ pass, tokens }: VerifiedEvent): string {
    this.passes.push({ pass, tokens });
    const text = tokens.map((token) => token.text).join('');
    this.raw += text;
    return text;
  }

  /** @param kept the final text; null keeps all */
  stats(kept: string | null, context: StatsContext): GenerationStats {
    const end = kept === null ? Infinity : this.endOf(kept.replaceAll('\r\n', '\n'));
    let position = 0;
    const sum = { tokens: 0, decoded: 0, verifications: 0, drafted: 0, accepted: 0, draftMs: 0, verifyMs: 0 };
    for (const { pass, tokens } of this.passes) {
      if (position >= end) break;
      sum.verifications++;
      sum.drafted += pass.drafted;
      sum.accepted += pass.accepted;
      sum.draftMs += pass.draftMs;
      sum.verifyMs += pass.verifyMs;
      for (const { text } of tokens) {
        if (position < end) {
          sum.tokens++;
          if (isDecoding(pass)) sum.decoded++;
        }
        position += text.length;
      }
    }
    const decodingMs = sum.draftMs + sum.verifyMs;
    const tokensPerSecond = decodingMs > 0 ? (sum.decoded * 1000) / decodingMs : 0;
    return {
      tokens: sum.tokens,
      verifications: sum.verifications,
      tau: sum.verifications > 0 ? sum.tokens / sum.verifications : 0,
      draftAcceptance: sum.drafted > 0 ? sum.accepted / sum.drafted : null,
      tokensPerSecond,
      speedup: context.plainPassMs !== null && sum.decoded > 0 ? (tokensPerSecond * context.plainPassMs) / 1000 : null,
      ...this.prefill,
      firstBlockMs: context.firstBlockMs,
      draftMs: sum.draftMs,
      verifyMs: sum.verifyMs,
      target: context.target,
      drafter: context.drafter,
      backend: context.backend,
    };
  }

  /** Where the kept text ends in the generated one; filters cut at both ends and leave the middle as it is. */
  private endOf(kept: string): number {
    if (kept === '') return 0;
    const raw = this.raw.replaceAll('\r\n', '\n');
    const start = raw.indexOf(kept);
    return start < 0 ? Infinity : start + kept.length;
  }
}

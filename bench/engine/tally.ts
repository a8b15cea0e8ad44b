/** Sums of one arm over prompts, and the figures made of them. */
import type { GenerationStats, TelemetryParams } from '../../protocol/messages';

export class Tally {
  private tokens = 0;
  private verifications = 0;
  private decodingMs = 0;
  private draftMs = 0;
  private drafted = 0;
  private accepted = 0;
  private readonly tested: number[] = [];
  private readonly passed: number[] = [];

  addStats(stats: GenerationStats): void {
    this.tokens += stats.tokens;
    this.verifications += stats.verifications;
    this.decodingMs += stats.draftMs + stats.verifyMs;
    this.draftMs += stats.draftMs;
  }

  addPass(event: TelemetryParams): void {
    if (event.event !== 'verified') return;
    const { drafted, accepted } = event.pass;
    this.drafted += drafted;
    this.accepted += accepted;
    for (let position = 0; position < Math.min(drafted, accepted + 1); position++) {
      this.tested[position] = (this.tested[position] ?? 0) + 1;
      this.passed[position] = (this.passed[position] ?? 0) + (position < accepted ? 1 : 0);
    }
  }

  figures(): Figures {
    return {
      tokens: this.tokens,
      tau: ratio(this.tokens, this.verifications),
      draftAcceptance: this.drafted === 0 ? null : ratio(this.accepted, this.drafted),
      acceptanceByPosition: this.tested.map((tested, i) => ratio(this.passed[i] ?? 0, tested)),
      tokensPerSecond: ratio(this.tokens * 1000, this.decodingMs),
      draftShare: ratio(this.draftMs, this.decodingMs),
    };
  }
}

export interface Figures {
  readonly tokens: number;
  readonly tau: number;
  readonly draftAcceptance: number | null;
  readonly acceptanceByPosition: readonly number[];
  readonly tokensPerSecond: number;
  /** Part of the decoding time spent drafting. */
  readonly draftShare: number;
}

function ratio(a: number, b: number): number {
  return b === 0 ? 0 : Number((a / b).toFixed(3));
}

/**
 * Adds up what the engine reports, so that the numbers survive a hidden or closed view. Pure.
 * All figures are sums over verification passes; nothing is averaged twice.
 */
import type { GenerationStats, TelemetryParams, VerificationStats, EmittedToken } from '../../protocol/messages';
import { isDecoding } from '../../protocol/passes';
import type { Figures, GenerationRecord, TelemetrySnapshot } from './snapshot';

/** Generations kept for the export. */
const HISTORY = 200;

class Sums {
  passes = 0;
  tokens = 0;
  /** Tokens whose passes took time of their own: speeds are theirs. */
  decoded = 0;
  drafted = 0;
  accepted = 0;
  draftMs = 0;
  verifyMs = 0;
  prefillMs = 0;
  /** Of the tokens whose plain speed is known: their decoding time, and what plain decoding would have taken. */
  comparedMs = 0;
  plainMs = 0;
  plainTokens = 0;

  addPass(pass: VerificationStats, plainTokensPerSecond: number | null): void {
    this.passes += 1;
    const decoded = isDecoding(pass) ? pass.emitted : 0;
    this.tokens += pass.emitted;
    this.decoded += decoded;
    this.drafted += pass.drafted;
    this.accepted += pass.accepted;
    this.draftMs += pass.draftMs;
    this.verifyMs += pass.verifyMs;
    if (plainTokensPerSecond !== null) {
      this.comparedMs += pass.draftMs + pass.verifyMs;
      this.plainMs += (decoded / plainTokensPerSecond) * 1000;
      this.plainTokens += decoded;
    }
  }

  /** Compares all passes with one plain speed, in place of what `before` says they were compared with. */
  compareWith(
    plainTokensPerSecond: number,
    before: { comparedMs: number; plainMs: number; plainTokens: number },
    passes: Sums,
  ): void {
    this.comparedMs += passes.draftMs + passes.verifyMs - before.comparedMs;
    this.plainMs += (passes.decoded / plainTokensPerSecond) * 1000 - before.plainMs;
    this.plainTokens += passes.decoded - before.plainTokens;
  }

  figures(): Figures {
    const { passes, tokens, decoded, drafted, accepted, draftMs, verifyMs, prefillMs } = this;
    return {
      passes,
      tokens,
      drafted,
      accepted,
      draftMs,
      verifyMs,
      prefillMs,
      tau: ratio(tokens, passes),
      draftAcceptance: ratio(accepted, drafted),
      tokensPerSecond: ratio(decoded * 1000, draftMs + verifyMs),
      plainTokensPerSecond: ratio(this.plainTokens * 1000, this.plainMs),
      speedup: ratio(this.plainMs, this.comparedMs),
    };
  }
}

interface Generation {
  record: Omit<GenerationRecord, 'figures' | 'tokens' | 'passes'>;
  readonly tokens: EmittedToken[];
  readonly passes: VerificationStats[];
  readonly sums: Sums;
}

export class TelemetryStore {
  private session = new Sums();
  private generations: Generation[] = [];
  private count = 0;
  private shown = new Set<number>();
  private accepted = new Set<number>();
  /** Plain decoding's speed as the last finished generation knew it: live passes are compared with it. */
  private plainTokensPerSecond: number | null = null;
  private last: GenerationStats | null = null;

  /** Statistics of the last generation that emitted something. */
  get lastStats(): GenerationStats | null {
    return this.last;
  }

  add(event: TelemetryParams): void {
    if (event.event === 'started') {
      this.start(event.requestId, event.kind);
      return;
    }
    // An event of a generation that was reset away has nothing to be added to.
    const generation = this.generations.findLast((candidate) => candidate.record.requestId === event.requestId);
    if (generation === undefined) return;
    if (event.event === 'prefilled') {
      const { promptTokens, prefillTokens, prefillMs } = event;
      generation.record = { ...generation.record, promptTokens, prefillTokens };
      generation.sums.prefillMs += prefillMs;
      this.session.prefillMs += prefillMs;
    } else if (event.event === 'verified') {
      generation.passes.push(event.pass);
      generation.tokens.push(...event.tokens);
      generation.sums.addPass(event.pass, this.plainTokensPerSecond);
      this.session.addPass(event.pass, this.plainTokensPerSecond);
    } else {
      generation.record = { ...generation.record, outcome: event.outcome, stats: event.stats };
      this.finish(event.stats, generation.sums);
    }
  }

  countShown(requestId: number): void {
    this.shown.add(requestId);
  }

  countAccepted(requestId: number): void {
    if (this.shown.has(requestId)) this.accepted.add(requestId);
  }

  get suggestions(): TelemetrySnapshot['suggestions'] {
    return { shown: this.shown.size, accepted: this.accepted.size };
  }

  reset(): void {
    this.session = new Sums();
    this.generations = [];
    this.count = 0;
    this.shown = new Set();
    this.accepted = new Set();
    this.last = null;
  }

  snapshot(): TelemetrySnapshot {
    const current = this.generations.at(-1);
    return {
      current: current === undefined ? null : recordOf(current),
      session: { ...this.session.figures(), generations: this.count },
      suggestions: this.suggestions,
    };
  }

  /** Everything for a file: figures of the session and of each generation. Generated text stays out of it. */
  exported(): unknown {
    const { session, suggestions } = this.snapshot();
    return {
      session,
      suggestions,
      generations: this.generations.map((generation) => {
        const { tokens, ...record } = recordOf(generation);
        return { ...record, origins: tokens.map((token) => token.origin) };
      }),
    };
  }

  private start(requestId: number, kind: GenerationRecord['kind']): void {
    this.count += 1;
    this.generations.push({
      record: { requestId, kind, outcome: 'running', promptTokens: 0, prefillTokens: 0, stats: null },
      tokens: [],
      passes: [],
      sums: new Sums(),
    });
    if (this.generations.length > HISTORY) this.generations.shift();
  }

  private finish(stats: GenerationStats | null, sums: Sums): void {
    if (stats === null || stats.tokens === 0) return;
    this.last = stats;
    if (stats.speedup === null || stats.speedup <= 0) return;
    // Only now is plain decoding's speed known for this generation: compare its passes anew.
    this.plainTokensPerSecond = stats.tokensPerSecond / stats.speedup;
    const { comparedMs, plainMs, plainTokens } = sums;
    const before = { comparedMs, plainMs, plainTokens };
    this.session.compareWith(this.plainTokensPerSecond, before, sums);
    sums.compareWith(this.plainTokensPerSecond, before, sums);
  }
}

function recordOf({ record, tokens, passes, sums }: Generation): GenerationRecord {
  return { ...record, tokens: [...tokens], passes: [...passes], figures: sums.figures() };
}

function ratio(value: number, divisor: number): number | null {
  return divisor > 0 ? value / divisor : null;
}

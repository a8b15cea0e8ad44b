/** One arm on one prompt, and the figures of many of them. */
import { ratio, spreadOf, type Spread } from './statistics';

export interface Sample {
  readonly text: string;
  /** Tokens of the text that was kept. */
  readonly tokens: number;
  readonly verifications: number;
  /** Tokens without the first, which comes with the prefill, and the clock time from it to the last. */
  readonly decodedTokens: number;
  readonly decodingMs: number;
  /** The engine's own times; null for a peer, which does not tell them. */
  readonly draftMs: number | null;
  readonly verifyMs: number | null;
  readonly drafted: number;
  readonly accepted: number;
  /** Passes by draft position: those whose draft was right up to there, and those where it was right there too. */
  readonly tested: readonly number[];
  readonly passed: readonly number[];
}

export interface Figures {
  readonly prompts: number;
  readonly tokens: number;
  readonly tau: number;
  readonly draftAcceptance: number | null;
  readonly acceptanceByPosition: readonly number[];
  readonly tokensPerSecond: number;
  /** Parts of the decoding time; what is left is the loop around the models. */
  readonly draftShare: number | null;
  readonly verifyShare: number | null;
}

export function figures(samples: readonly Sample[]): Figures {
  const sum = (value: (sample: Sample) => number): number => samples.reduce((all, each) => all + value(each), 0);
  const tokens = sum((each) => each.tokens);
  const decodingMs = sum((each) => each.decodingMs);
  const drafted = sum((each) => each.drafted);
  const timed = samples.length > 0 && samples.every(({ draftMs }) => draftMs !== null);
  const positions = Math.max(0, ...samples.map(({ tested }) => tested.length));
  return {
    prompts: samples.length,
    tokens,
    tau: ratio(
      tokens,
      sum((each) => each.verifications),
    ),
    draftAcceptance:
      drafted === 0
        ? null
        : ratio(
            sum((each) => each.accepted),
            drafted,
          ),
    acceptanceByPosition: Array.from({ length: positions }, (_, i) =>
      ratio(
        sum(({ passed }) => passed[i] ?? 0),
        sum(({ tested }) => tested[i] ?? 0),
      ),
    ),
    tokensPerSecond: ratio(1000 * sum((each) => each.decodedTokens), decodingMs),
    draftShare: timed
      ? ratio(
          sum(({ draftMs }) => draftMs ?? 0),
          decodingMs,
        )
      : null,
    verifyShare: timed
      ? ratio(
          sum(({ verifyMs }) => verifyMs ?? 0),
          decodingMs,
        )
      : null,
  };
}

/** Speed of each sample ÷ that of the plain one beside it (same prompt, same round); pairs without decoding are left out. */
export function speedups(pairs: readonly { readonly arm: Sample; readonly plain: Sample }[]): Spread | null {
  const speed = ({ decodedTokens, decodingMs }: Sample): number => (decodingMs > 0 ? decodedTokens / decodingMs : 0);
  return spreadOf(
    pairs
      .filter(({ arm, plain }) => speed(arm) > 0 && speed(plain) > 0)
      .map(({ arm, plain }) => speed(arm) / speed(plain)),
  );
}

/** Texts that differ within their common length: a peer may stop a token later than another. */
export function differs(text: string, plain: string): boolean {
  const common = Math.min(text.length, plain.length);
  return text.slice(0, common) !== plain.slice(0, common);
}

/** Phrases as a drafter's file brings them: native/core/phrases and token_hash, written anew. */
import type { MetadataValue } from './gguf';

const LONGEST = 4;
const BITS = 64;

/** The part of a context's hash that names it: splitmix64 over its tokens, the last one first. */
export function checkOf(context: readonly number[]): number {
  const wrapped = (value: bigint): bigint => BigInt.asUintN(BITS, value);
  let hash = 0n;
  for (const token of context.toReversed()) {
    let z = wrapped(hash + 0x9e3779b97f4a7c15n + BigInt(token));
    z = wrapped((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
    z = wrapped((z ^ (z >> 27n)) * 0x94d049bb133111ebn);
    hash = z ^ (z >> 31n);
  }
  return Number(hash >> 32n);
}

/** Every context of a text, each followed `count` times by what follows it there first. */
export function phrasesOf(text: readonly number[], count: number): Record<string, MetadataValue> {
  const next = new Map<number, number>();
  for (const [place, token] of text.entries()) {
    for (let length = 1; length <= Math.min(LONGEST, place); length++) {
      const check = checkOf(text.slice(place - length, place));
      if (!next.has(check)) next.set(check, token);
    }
  }
  return phraseColumns({
    checks: [...next.keys()],
    tokens: [...next.values()],
    counts: [...next].map(() => count),
    secondCounts: [...next].map(() => 0),
  });
}

export function phraseColumns(columns: {
  checks: number[];
  tokens: number[];
  counts: number[];
  secondCounts: number[];
}): Record<string, MetadataValue> {
  return {
    'specdiff.phrases.checks': { type: 'i32s', value: columns.checks.map((check) => check | 0) },
    'specdiff.phrases.tokens': { type: 'i32s', value: columns.tokens },
    'specdiff.phrases.counts': { type: 'i32s', value: columns.counts },
    'specdiff.phrases.second_counts': { type: 'i32s', value: columns.secondCounts },
  };
}

/** Runs filters over a text cut into pieces. */
import type { EndReason, TextFilter } from '../../../../server/postprocess/filter';
import { LineFilter, type LineRule } from '../../../../server/postprocess/line-filter';

export interface Run {
  readonly text: string;
  readonly releases: readonly string[];
  readonly stop: string | null;
}

export function run(filter: TextFilter, pieces: readonly string[], reason: EndReason = 'endOfText'): Run {
  const releases: string[] = [];
  for (const piece of pieces) {
    const { release, stop } = filter.push(piece);
    releases.push(release);
    if (stop !== undefined) return { text: releases.join(''), releases, stop };
  }
  releases.push(filter.end(reason));
  return { text: releases.join(''), releases, stop: null };
}

/** One rule over a text that comes character by character: the hardest way to come. */
export function runRule(rule: LineRule, text: string, reason: EndReason = 'endOfText'): Run {
  return run(new LineFilter(rule), Array.from(text), reason);
}

/** Deterministic pseudo-random numbers in [0, 1) (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** The text cut into pieces at random places, between UTF-16 units as well. */
export function randomPieces(text: string, random: () => number): string[] {
  const pieces: string[] = [];
  let at = 0;
  while (at < text.length) {
    const length = 1 + Math.floor(random() * 9);
    pieces.push(text.slice(at, at + length));
    at += length;
  }
  return pieces;
}

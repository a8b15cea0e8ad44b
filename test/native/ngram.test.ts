import { describe, expect, it } from 'vitest';
import { testAddon } from '../support/native';
import { seeded } from '../support/random';

const addon = testAddon();
const LONGEST = 8;
const lookup = (tokens: readonly number[], count: number, longest = LONGEST) => {
  const found = addon.lookup(Int32Array.from(tokens), longest, count);
  return { length: found.length, tokens: [...found.tokens] };
};

/** The definition, by brute force: longest suffix first, its newest earlier place, the copy wraps round. */
function reference(tokens: readonly number[], count: number, longest = LONGEST) {
  for (let length = Math.min(longest, tokens.length - 1); length >= 1; length -= 1) {
    const suffix = tokens.slice(-length);
    if (suffix.includes(-1)) continue;
    for (let next = tokens.length - 1; next >= length; next -= 1) {
      if (tokens[next] === -1) continue;
      if (suffix.every((token, i) => tokens[next - length + i] === token)) {
        const copy: number[] = [];
        for (let i = next; copy.length < count; i += 1) {
          if (i === tokens.length) i = next;
          if (tokens[i] === -1) break;
          copy.push(tokens[i]!);
        }
        return { length, tokens: copy };
      }
    }
  }
  return { length: 0, tokens: [] };
}

describe('cyclic prompt lookup', () => {
  it('copies what followed the longest match', () => {
    expect(lookup([1, 2, 3, 4, 9, 3, 7, 2, 3], 2)).toEqual({ length: 2, tokens: [4, 9] });
  });

  it('takes the newest of equal matches', () => {
    expect(lookup([5, 1, 5, 2, 5], 1)).toEqual({ length: 1, tokens: [2] });
  });

  it('wraps round at the end of the text', () => {
    expect(lookup([8, 1, 2, 3, 1, 2, 3], 7)).toEqual({ length: 3, tokens: [1, 2, 3, 1, 2, 3, 1] });
  });

  it('repeats one token for ever', () => {
    expect(lookup([4, 4], 3)).toEqual({ length: 1, tokens: [4, 4, 4] });
  });

  it('finds nothing in new, empty or single tokens', () => {
    for (const tokens of [[], [1], [1, 2, 3]]) expect(lookup(tokens, 4)).toEqual({ length: 0, tokens: [] });
  });

  it('neither matches nor copies across a separator', () => {
    expect(lookup([1, 2, -1, 1], 4)).toEqual({ length: 1, tokens: [2] });
    expect(lookup([1, -1, 2, 1], 4)).toEqual({ length: 0, tokens: [] });
  });

  it('agrees with the definition on random texts, long enough to grow the index', () => {
    const next = seeded(5);
    for (let round = 0; round < 300; round += 1) {
      const size = 1 + Math.floor(next() * (round < 280 ? 60 : 3000));
      const alphabet = 2 + Math.floor(next() * 6);
      const tokens = Array.from({ length: size }, () => (next() < 0.02 ? -1 : Math.floor(next() * alphabet)));
      const longest = 1 + Math.floor(next() * LONGEST);
      expect(lookup(tokens, 12, longest)).toEqual(reference(tokens, 12, longest));
    }
  });
});

describe('lookup in what earlier jobs wrote', () => {
  const recall = (texts: readonly number[], tokens: readonly number[], count: number, longest = LONGEST) => {
    const found = addon.recall(Int32Array.from(texts), Int32Array.from(tokens), longest, count);
    return { ...found, tokens: [...found.tokens] };
  };

  it('finds the newest of them, up to its end', () => {
    expect(recall([1, 2, 3, 4, -1, 1, 2, 7, 8], [9, 1, 2], 6)).toEqual({ length: 2, past: true, tokens: [7, 8] });
  });

  it('prefers the job’s own texts where these match as much', () => {
    expect(recall([1, 2, 3], [1, 2, 5, 1, 2], 1)).toEqual({ length: 2, past: false, tokens: [5] });
    expect(recall([6, 1, 2, 3], [1, 2, 5, 6, 1, 2], 1)).toEqual({ length: 3, past: true, tokens: [3] });
  });

  it('agrees with the definition on random texts', () => {
    const next = seeded(8);
    for (let round = 0; round < 100; round += 1) {
      const random = (size: number) => Array.from({ length: size }, () => Math.floor(next() * 5));
      const texts = Array.from({ length: 4 }, () => [...random(1 + Math.floor(next() * 40)), -1]).flat();
      const tokens = random(1 + Math.floor(next() * 40));
      const longest = 1 + Math.floor(next() * LONGEST);
      const own = reference(tokens, 12, longest);
      const found = recall(texts, tokens, 12, longest);
      // By brute force: the longest suffix that stands in the texts with something behind it, in its newest place.
      let expected: { length: number; past: boolean; tokens: number[] } = { ...own, past: false };
      for (let length = Math.min(longest, tokens.length); length > own.length && !expected.past; length -= 1) {
        for (let at = texts.length - 1; at >= length && !expected.past; at -= 1) {
          if (texts[at] === -1 || !tokens.slice(-length).every((token, i) => texts[at - length + i] === token))
            continue;
          const copy = texts.slice(at, at + 12);
          expected = { length, past: true, tokens: copy.includes(-1) ? copy.slice(0, copy.indexOf(-1)) : copy };
        }
      }
      expect(found).toEqual(expected);
    }
  });

  it('forgets the oldest first', () => {
    const text = (seed: number) => Array.from({ length: 100 }, (_, i) => 1000 * seed + i);
    const texts = Array.from({ length: 400 }, (_, seed) => [...text(seed), -1]).flat();
    expect(recall(texts, text(0).slice(0, 3), 2).length).toBe(0);
    for (const seed of [399, 350, 330]) {
      expect(recall(texts, text(seed).slice(0, 3), 2)).toEqual({
        length: 3,
        past: true,
        tokens: text(seed).slice(3, 5),
      });
    }
  });
});

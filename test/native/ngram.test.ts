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

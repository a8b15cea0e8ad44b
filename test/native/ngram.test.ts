import { describe, expect, it } from 'vitest';
import { testAddon } from '../support/native';
import { checkOf } from '../support/phrases';
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

describe('turns of phrase', () => {
  const CONTEXT = 4;
  const find = (
    texts: readonly number[],
    tokens: readonly number[],
    count: number,
    weight = 2,
    longest = LONGEST,
    known: readonly number[] = [],
  ) => {
    const given = [Int32Array.from(texts), weight, Int32Array.from(tokens), longest, count] as const;
    const found = addon.phrase(...given, Int32Array.from(known));
    return { ...found, tokens: [...found.tokens] };
  };

  it('are what mostly followed, word by word', () => {
    const texts = [1, 2, 3, 4, -1, 1, 2, 3, 5, -1, 9, 2, 3, 5, 6];
    expect(find(texts, [8, 2], 3)).toEqual({ length: 1, phrase: true, sure: true, tokens: [3, 5, 6] });
    expect(find(texts, [2, 3], 1)).toEqual({ length: 2, phrase: true, sure: false, tokens: [5] });
  });

  it('need to have come twice, or in a job of this engine', () => {
    expect(find([1, 2, 3], [1, 2], 1, 1).length).toBe(0);
    expect(find([1, 2, 3, -1, 1, 2, 3], [1, 2], 1, 1)).toMatchObject({ length: 2, tokens: [3] });
    expect(find([1, 2, 3], [1, 2], 1, 2)).toMatchObject({ length: 2, tokens: [3] });
  });

  it('stand behind a match of as many tokens in the job’s own texts', () => {
    expect(find([1, 2, 3], [1, 2, 5, 1, 2], 1)).toMatchObject({ length: 2, phrase: false, tokens: [5] });
    expect(find([6, 1, 2, 3], [1, 2, 5, 6, 1, 2], 1)).toMatchObject({ length: 3, phrase: true, tokens: [3] });
  });

  it('give way to any match where they are not sure', () => {
    // Every occurrence counts twice.
    const texts = [1, 2, 3, -1, 1, 2, 3, -1, 1, 2, 4];
    expect(find(texts, [1, 2], 1)).toMatchObject({ phrase: true, sure: false, tokens: [3] });
    expect(find(texts, [2, 5, 1, 2], 1)).toMatchObject({ length: 1, phrase: false, tokens: [5] });
    expect(find([...texts, -1, 1, 2, 3], [2, 5, 1, 2], 1)).toMatchObject({ length: 2, phrase: true, tokens: [3] });
  });

  it('do not go across the end of a text', () => {
    expect(find([1, 2, -1, 3], [1, 2], 3).length).toBe(0);
    expect(find([1, 2, 3, -1, 3, 4], [1, 2], 5).tokens).toEqual([3, 4]);
  });

  it('agree with plain counting where a context has two continuations at most', () => {
    const next = seeded(8);
    for (let round = 0; round < 60; round += 1) {
      const texts: number[] = [];
      for (let i = 0; i < 6; i += 1) {
        let token = Math.floor(next() * 6);
        for (let k = 0; k < 30; k += 1, token = (2 * token + (next() < 0.7 ? 0 : 1)) % 7) texts.push(token);
        texts.push(-1);
      }
      const tokens = [9, ...texts.slice(3, 7)].slice(0, 2 + Math.floor(next() * 4));
      const longest = 1 + Math.floor(next() * LONGEST);
      const found = find(texts, tokens, 1, 1, longest);
      if (!found.phrase) continue;
      const context = tokens.slice(-found.length);
      expect(found.length).toBeLessThanOrEqual(Math.min(longest, CONTEXT));
      const counts = new Map<number, number>();
      for (let at = context.length; at < texts.length; at += 1) {
        if (!context.every((token, i) => texts[at - context.length + i] === token) || texts[at] === -1) continue;
        counts.set(texts[at]!, (counts.get(texts[at]!) ?? 0) + 1);
      }
      const most = Math.max(...counts.values());
      expect(counts.get(found.tokens[0]!)).toBe(most);
      expect(most).toBeGreaterThanOrEqual(2);
    }
  });

  it('from the drafter’s file are counted with the engine’s own, and never forgotten', () => {
    const known = [checkOf([5, 7]) | 0, 9, 3, 0];
    expect(find([], [5, 7], 1, 2, LONGEST, known)).toMatchObject({ length: 2, sure: true, tokens: [9] });
    const other = [5, 7, 8, -1];
    expect(find(other, [5, 7], 1, 2, LONGEST, known)).toMatchObject({ length: 2, sure: false, tokens: [9] });
    expect(find([...other, ...other], [5, 7], 1, 2, LONGEST, known)).toMatchObject({ length: 2, tokens: [8] });
    const flood = Array.from({ length: 400_000 }, (_, i) => 10 + i);
    expect(find(flood, [5, 7], 1, 1, LONGEST, known)).toMatchObject({ length: 2, tokens: [9] });
    expect(find([...[1, 2, 3, -1, 1, 2, 3, -1], ...flood], [1, 2], 1, 1).length).toBe(0);
  });

  it('that came once are forgotten first, when there are more than the table holds', () => {
    const once = (seed: number) => Array.from({ length: 100 }, (_, i) => 3 + 1000 * seed + i);
    const often = [1, 2, 3];
    const flood = Array.from({ length: 2000 }, (_, seed) => [...once(seed), -1]).flat();
    const texts = [...Array.from({ length: 200 }, () => [...often, -1]).flat(), ...flood];
    expect(find(texts, [1, 2], 1)).toMatchObject({ length: 2, tokens: [3] });
    expect(find(texts, once(0).slice(0, 3), 1, 2).length).toBe(0);
    expect(find(texts, once(1999).slice(0, 3), 1, 2)).toMatchObject({ length: 3, phrase: true });
  });
});

import { describe, expect, it } from 'vitest';
import { LookupContext } from '../../../../server/context/lookup';

function counting() {
  const asked: string[] = [];
  return {
    asked,
    tokenizer: (texts: readonly string[]) => {
      asked.push(...texts);
      return Promise.resolve(texts.map((text) => Array.from(text, (character) => character.charCodeAt(0))));
    },
  };
}

describe('LookupContext', () => {
  it('joins the sources, the newest last, and leaves secrets and binaries out', async () => {
    const { tokenizer } = counting();
    const tokens = await new LookupContext().tokens(
      [
        { uri: 'file:///a.py', text: 'a' },
        { uri: 'file:///.env', text: 'S' },
        { uri: 'file:///b.bin', text: 'x\0' },
        { uri: 'file:///c.py', text: 'c' },
      ],
      tokenizer,
    );
    expect(String.fromCharCode(...tokens)).toBe('ac');
  });

  it('tokenizes an unchanged text once', async () => {
    const { tokenizer, asked } = counting();
    const context = new LookupContext();
    const sources = [{ uri: 'file:///a.py', text: 'same' }];
    await context.tokens(sources, tokenizer);
    await context.tokens([...sources, { uri: 'file:///b.py', text: 'other' }], tokenizer);
    expect(asked).toEqual(['same', 'other']);
  });

  it('is bounded', async () => {
    const { tokenizer } = counting();
    const sources = Array.from({ length: 50 }, (_, index) => ({ uri: `file:///${index}`, text: 'x'.repeat(20_000) }));
    expect((await new LookupContext().tokens(sources, tokenizer)).length).toBeLessThanOrEqual(36_000);
  });
});

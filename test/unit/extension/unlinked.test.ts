import { expect, it } from 'vitest';
import { unlinked } from '../../../extension/unlinked';

/** VS Code's own pattern for links in messages. */
const LINK = /\[([^\]]+)\]\(((?:https?:\/\/|command:|file:)[^)\s]+)(?: (["'])(.+?)(\3))?\)/gi;

it('leaves no link, and all that can be seen', () => {
  const text =
    'The file [Show details](command:workbench.action.terminal.new?%5B%5D).gguf lacks [a](https://b.example "c").';
  expect(text.match(LINK)).toHaveLength(2);
  expect(unlinked(text).match(LINK)).toBeNull();
  expect(unlinked(text).replaceAll('\u200b', '')).toBe(text);
  expect(unlinked('a[0] (b)')).toBe('a[0] (b)');
});

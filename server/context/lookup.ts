/**
 * Tokens beside the prompt that prompt lookup may copy from: open files of the workspace, oldest first, then the open
 * file's own text outside the prompt. They cost no evaluation, so they may be many times the prompt.
 */
import type { Tokenizer } from '../prompt/tokenizer';
import { looksBinary } from './binary';
import { isSecretFile } from './secrets';

export interface LookupSource {
  readonly uri: string;
  readonly text: string;
}

/** Characters taken from one file, and files taken: about 12,000 tokens in all. */
const FILE_CHARACTERS = 6_000;
const MOST_FILES = 6;
const CACHED_TEXTS = 32;

export class LookupContext {
  /** Tokens by text: an open file that did not change is not tokenized again. */
  private readonly cache = new Map<string, readonly number[]>();

  /** @param sources newest last */
  async tokens(sources: readonly LookupSource[], tokenizer: Tokenizer): Promise<number[]> {
    const texts = sources
      .filter(({ uri }) => !isSecretFile(uri))
      .slice(-MOST_FILES)
      .map(({ text }) => text.slice(0, FILE_CHARACTERS).replaceAll('\r\n', '\n'))
      .filter((text) => text !== '' && !looksBinary(text));
    const missing = [...new Set(texts)].filter((text) => !this.cache.has(text));
    if (missing.length > 0) {
      const tokenized = await tokenizer(missing);
      for (const [index, text] of missing.entries()) this.cache.set(text, tokenized[index] ?? []);
    }
    const tokens = texts.flatMap((text) => {
      const found = this.cache.get(text) ?? [];
      // Moved to the end: the map's order is the order of use.
      this.cache.delete(text);
      this.cache.set(text, found);
      return found;
    });
    for (const text of this.cache.keys()) {
      if (this.cache.size <= CACHED_TEXTS) break;
      this.cache.delete(text);
    }
    return tokens;
  }

  /** Another model counts other tokens. */
  clear(): void {
    this.cache.clear();
  }
}

/**
 * Takes back the whitespace that the prompt left out before the cursor. Tokenizers put a space with the word after it,
 * so a prompt that ends in one asks for something the model has seldom seen; the space is left for the model to write.
 */
import type { FilterResult, TextFilter } from './filter';

export const HEALING_FAILED = 'healingFailed';

export class HealedStart implements TextFilter {
  private missing: string;

  /** @param missing what the prompt left out before the cursor, '' for nothing */
  constructor(missing: string) {
    this.missing = missing;
  }

  push(text: string): FilterResult {
    if (this.missing === '') return { release: text };
    if (text.startsWith(this.missing)) {
      const release = text.slice(this.missing.length);
      this.missing = '';
      return { release };
    }
    if (this.missing.startsWith(text)) {
      this.missing = this.missing.slice(text.length);
      return { release: '' };
    }
    return { release: '', stop: HEALING_FAILED };
  }

  end(): string {
    return '';
  }
}

/** Drops whitespace at the end of the text; a text of whitespace alone comes out empty. */
import type { FilterResult, TextFilter } from './filter';

export class TrailingWhitespace implements TextFilter {
  private held = '';

  push(text: string): FilterResult {
    const all = this.held + text;
    const kept = all.trimEnd();
    this.held = all.slice(kept.length);
    return { release: kept };
  }

  end(): string {
    return '';
  }
}

/**
 * Ends the text where it runs into the text that already follows the cursor on its line: an autoclosed bracket or
 * quote, or the rest of the statement. Text that may turn out to be that is held back.
 */
import type { EndReason, FilterResult, TextFilter } from './filter';

const CLOSERS = new Map([
  [')', '('],
  [']', '['],
  ['}', '{'],
]);
const QUOTES = new Set(['"', "'", '`']);
const NAME = 'sameLineSuffix';

export class SameLineSuffix implements TextFilter {
  private readonly tail: string;
  private readonly closer: string | undefined;
  private readonly quote: boolean;
  private readonly open: string[] = [];
  private escaped = false;
  private held = '';

  /** @param tail text after the cursor on its line */
  constructor(tail: string) {
    this.tail = tail.trim();
    const first = this.tail.charAt(0);
    this.closer = CLOSERS.has(first) ? first : undefined;
    this.quote = QUOTES.has(first);
  }

  push(text: string): FilterResult {
    if (this.tail === '') return { release: text };
    let release = '';
    for (const character of text) {
      if (this.endsAt(character)) {
        const before = this.held;
        this.held = '';
        return { release: release + before, stop: NAME };
      }
      if (character === '\n' && this.held.trimEnd() === this.tail) return { release, stop: NAME };
      this.held += character;
      const keep = this.overlap();
      release += this.held.slice(0, this.held.length - keep);
      this.held = this.held.slice(this.held.length - keep);
    }
    return { release };
  }

  end(_reason: EndReason): string {
    return this.held.trim() === this.tail ? '' : this.held;
  }

  /** The character is the bracket or quote that the tail begins with, and closes what the document opened. */
  private endsAt(character: string): boolean {
    if (this.escaped) {
      this.escaped = false;
      return false;
    }
    if (character === '\\') this.escaped = true;
    if (this.quote) return character === this.tail.charAt(0);
    if (this.closer === undefined) return false;
    const opener = CLOSERS.get(character);
    if (opener !== undefined) {
      if (this.open.at(-1) === opener) this.open.pop();
      else return character === this.closer;
    } else if ([...CLOSERS.values()].includes(character)) this.open.push(character);
    return false;
  }

  /** Characters at the end of what is held that the tail may begin with. */
  private overlap(): number {
    const trimmed = this.held.trimEnd();
    if (trimmed.endsWith(this.tail)) return this.tail.length + this.held.length - trimmed.length;
    for (let length = Math.min(this.held.length, this.tail.length); length > 0; length--) {
      if (this.tail.startsWith(this.held.slice(-length))) return length;
    }
    return 0;
  }
}

/**
 * Ends a text that repeats a phrase in a row within a line ("slot-based slot-based slot-based …") behind the phrase's
 * second appearance: the model runs in a circle. Whole lines are repeatedLines' business.
 */
import type { EndReason, FilterResult, TextFilter } from './filter';

const NAME = 'repeatedPhrases';
/** Characters of a phrase. Shorter ones may come often ("ha ha"), and a longer one seldom fits into a line twice. */
const SHORTEST = 4;
const LONGEST = 120;
/** Appearances in a row, and characters in all, from which on it is a circle: "row by row by row" is none. */
const APPEARANCES = 4;
const CHARACTERS = 32;

export class RepeatedPhrases implements TextFilter {
  /** The line so far, as much of it as a repetition can reach back to. */
  private line = '';
  /** By length of the phrase: how many characters in a row equal the one a phrase before them. */
  private readonly runs = new Array<number>(LONGEST + 1).fill(0);
  private held = '';

  push(text: string): FilterResult {
    let release = '';
    for (const character of text.split('')) {
      this.add(character);
      this.held += character;
      const length = this.repeated();
      if (length > 0 && this.inCircle(length)) return { release, stop: NAME };
      const keep = length > 0 ? this.beyondSecond(length) : 0;
      release += this.held.slice(0, this.held.length - keep);
      this.held = this.held.slice(this.held.length - keep);
    }
    return { release };
  }

  end(_reason: EndReason): string {
    return this.held;
  }

  private add(character: string): void {
    if (character === '\n') {
      this.line = '';
      this.runs.fill(0);
      return;
    }
    for (let length = SHORTEST; length <= LONGEST; length++) {
      const same = this.line.length >= length && this.line.at(-length) === character;
      this.runs[length] = same ? this.run(length) + 1 : 0;
    }
    this.line = (this.line + character).slice(-LONGEST);
  }

  private run(length: number): number {
    return this.runs[length] ?? 0;
  }

  /** Length of the shortest phrase of words that stands there twice in a row and goes on; 0 for none. */
  private repeated(): number {
    for (let length = SHORTEST; length <= LONGEST; length++) {
      if (this.run(length) > length && /\p{L}/u.test(this.line.slice(-length))) return length;
    }
    return 0;
  }

  private inCircle(length: number): boolean {
    const characters = this.run(length) + length;
    return characters >= APPEARANCES * length && characters >= CHARACTERS;
  }

  /** Characters behind the phrase's second appearance. */
  private beyondSecond(length: number): number {
    return Math.min(this.run(length) - length, this.held.length);
  }
}

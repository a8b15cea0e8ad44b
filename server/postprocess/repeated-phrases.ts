/**
 * Ends a text that repeats a phrase in a row within a line ("slot-based slot-based slot-based …") behind the phrase's
 * second appearance: the model runs in a circle. Whole lines are repeatedLines' business; the cells of a table's row
 * may well be alike.
 */
import type { EndReason, FilterResult, TextFilter } from './filter';

const NAME = 'repeatedPhrases';
/** Characters of a phrase; a longer one seldom fits into a line often. */
const SHORTEST = 4;
const LONGEST = 120;
/** Appearances in a row from which on it is a circle; people repeat a word ("row by row by row") more than a clause. */
const APPEARANCES_OF_WORDS = 8;
const APPEARANCES_OF_CLAUSES = 4;
const CLAUSE = 12;
const TABLE = '|';

export class RepeatedPhrases implements TextFilter {
  /** The line so far, as much of it as a repetition can reach back to. */
  private line = '';
  private table = false;
  /** By length of the phrase: how many characters in a row equal the one a phrase before them. */
  private readonly runs = new Array<number>(LONGEST + 1).fill(0);
  private held = '';

  push(text: string): FilterResult {
    let release = '';
    for (const character of text.split('')) {
      this.add(character);
      this.held += character;
      const lengths = this.repeated();
      if (lengths.some((length) => this.inCircle(length))) return { release: release + this.restOfWord(), stop: NAME };
      // What comes behind a second appearance is held back.
      const beyond = Math.max(0, ...lengths.map((length) => this.run(length) - length));
      const keep = Math.min(beyond, this.held.length);
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
    if (this.line.trim() === '') this.table = character === TABLE;
    for (let length = SHORTEST; length <= LONGEST; length++) {
      const same = this.line.length >= length && this.line.at(-length) === character;
      this.runs[length] = same ? this.run(length) + 1 : 0;
    }
    this.line = (this.line + character).slice(-LONGEST);
  }

  private run(length: number): number {
    return this.runs[length] ?? 0;
  }

  /** Lengths of the phrases of words that stand there twice in a row and go on. */
  private repeated(): number[] {
    if (this.table) return [];
    const lengths: number[] = [];
    for (let length = SHORTEST; length <= LONGEST; length++) {
      if (this.run(length) > length && /\p{L}/u.test(this.line.slice(-length))) lengths.push(length);
    }
    return lengths;
  }

  private inCircle(length: number): boolean {
    const appearances = length < CLAUSE ? APPEARANCES_OF_WORDS : APPEARANCES_OF_CLAUSES;
    return this.run(length) + length >= appearances * length;
  }

  /** A repetition may have begun within a word. */
  private restOfWord(): string {
    return /^[\p{L}\p{N}_]*/u.exec(this.held)?.[0] ?? '';
  }
}

/**
 * Holds back a character that further text may still change: half a surrogate pair, an emoji that a joiner or a
 * modifier may follow, a letter outside ASCII that may get a combining mark.
 */
import type { FilterResult, TextFilter } from './filter';

const segmenter = new Intl.Segmenter(undefined, { granularity: 'grapheme' });
/** Below, only the rare decomposed accents could follow, and holding every last letter back would show. */
const FIRST_COMBINING = 0x300;
/** Longest end of the text looked at for the last character. */
const WINDOW = 64;

export class WholeCharacters implements TextFilter {
  private held = '';

  push(text: string): FilterResult {
    const all = this.held + text;
    const half = /[\uD800-\uDBFF]$/.test(all);
    const whole = half ? all.slice(0, -1) : all;
    const cut = startOfChangeable(whole);
    this.held = all.slice(cut);
    return { release: all.slice(0, cut) };
  }

  end(): string {
    // Half a surrogate pair is no text.
    return /^[\uD800-\uDBFF]$/.test(this.held) ? '' : this.held.replace(/[\uD800-\uDBFF]$/, '');
  }
}

/** Where the last character begins, if something may still join it; else the end. */
function startOfChangeable(text: string): number {
  const last = text.charCodeAt(text.length - 1);
  if (Number.isNaN(last) || last < FIRST_COMBINING) return text.length;
  const start = Math.max(0, text.length - WINDOW);
  return start + ([...segmenter.segment(text.slice(start))].at(-1)?.index ?? 0);
}

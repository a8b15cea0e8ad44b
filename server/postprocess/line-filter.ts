/** Turns a rule about lines into a streaming filter. */
import type { EndReason, FilterResult, TextFilter } from './filter';

export interface GeneratedLine {
  /** Without its newline. On line 0 this is what follows the cursor. */
  readonly text: string;
  /** 0 for the cursor's own line. */
  readonly index: number;
  /** Some line before it had text. */
  readonly afterText: boolean;
  /** The token limit cut the text inside this line. */
  readonly cut: boolean;
}

export interface LineRule {
  readonly name: string;
  /** `drop`: the text ends before this line; `last`: it ends with this line. */
  finished(line: GeneratedLine): 'keep' | 'drop' | 'last';
  /**
   * The first line with text, while it is being written. `keep` shows what is there, so that the ghost text need not
   * wait for the line's end; then `finished` cannot drop it any more. Lines after it are held until they are finished,
   * unless `growsAlways`.
   */
  growing?(line: GeneratedLine): 'keep' | 'hold' | 'drop';
  /** Every line may be shown while it is being written, as `growing` says. */
  readonly growsAlways?: boolean;
}

export class LineFilter implements TextFilter {
  private line = '';
  private released = 0;
  private index = 0;
  private afterText = false;

  constructor(private readonly rule: LineRule) {}

  push(text: string): FilterResult {
    let release = '';
    const pieces = text.split('\n');
    for (const [number, piece] of pieces.entries()) {
      this.line += piece;
      if (number === pieces.length - 1) break;
      const verdict = this.rule.finished(this.current(false));
      if (verdict === 'drop') return { release, stop: this.rule.name };
      release += this.line.slice(this.released);
      if (verdict === 'last') return { release, stop: this.rule.name };
      release += '\n';
      if (this.line.trim() !== '') this.afterText = true;
      this.line = '';
      this.released = 0;
      this.index++;
    }
    if (this.line !== '' && (!this.afterText || this.rule.growsAlways === true)) {
      const verdict = this.rule.growing?.(this.current(false)) ?? 'keep';
      if (verdict === 'drop') return { release, stop: this.rule.name };
      if (verdict === 'keep') {
        release += this.line.slice(this.released);
        this.released = this.line.length;
      }
    }
    return { release };
  }

  end(reason: EndReason): string {
    if (this.line === '') return '';
    const cut = reason === 'maxTokens' || reason === 'contextFull';
    if (this.rule.finished(this.current(cut)) === 'drop') return '';
    return this.line.slice(this.released);
  }

  private current(cut: boolean): GeneratedLine {
    return { text: this.line, index: this.index, afterText: this.afterText, cut };
  }
}

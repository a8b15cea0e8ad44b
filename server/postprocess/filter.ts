/**
 * Post-processing is an ordered list of streaming filters. Each takes text as it is generated and releases what no
 * later text can make it take back: released text is only ever appended to.
 */
import type { FinishReason } from '../../protocol/messages';

/** Why no more text comes; `stopped`: a filter further up has ended the text. */
export type EndReason = FinishReason | 'stopped';

export interface FilterResult {
  readonly release: string;
  /** Set when the text ends here, `release` being its last part; names the rule. */
  readonly stop?: string;
}

/** Stateful, for one generation. */
export interface TextFilter {
  push(text: string): FilterResult;
  /** What was held back and may be shown after all. Not called after `stop`. */
  end(reason: EndReason): string;
}

/** The filters in a row; itself a filter. */
export class Pipeline implements TextFilter {
  constructor(private readonly filters: readonly TextFilter[]) {}

  push(text: string): FilterResult {
    return this.pushFrom(0, text);
  }

  end(reason: EndReason): string {
    return this.endFrom(0, reason);
  }

  private pushFrom(first: number, text: string): FilterResult {
    let release = text;
    for (const [index, filter] of this.filters.entries()) {
      if (index < first) continue;
      if (release === '') return { release };
      const result = filter.push(release);
      release = result.release;
      if (result.stop !== undefined) {
        const rest = this.pushFrom(index + 1, release);
        const tail = rest.stop === undefined ? this.endFrom(index + 1, 'stopped') : '';
        return { release: rest.release + tail, stop: result.stop };
      }
    }
    return { release };
  }

  private endFrom(first: number, reason: EndReason): string {
    const filter = this.filters[first];
    if (filter === undefined) return '';
    const below = this.pushFrom(first + 1, filter.end(reason));
    return below.stop === undefined ? below.release + this.endFrom(first + 1, reason) : below.release;
  }
}

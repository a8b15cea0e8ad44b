/** Clamps the indentation that the model writes again on a line that is indented already. */
import { indentationOf, indentationUnit, opensBlock } from './indentation';
import type { FilterResult, TextFilter } from './filter';

export class ExtraIndentation implements TextFilter {
  private held: string | null = '';
  private readonly most: number;

  /** @param before the document before the cursor, the cursor's line included */
  constructor(before: string) {
    const lines = before.split('\n');
    const linePrefix = lines.pop() ?? '';
    const above = lines.findLast((line) => line.trim() !== '') ?? '';
    const deepest = indentationOf(above) + (opensBlock(above) ? indentationUnit(before) : 0);
    this.most = Math.max(0, deepest - indentationOf(linePrefix));
    // Only whitespace-only lines that the user or the editor has indented.
    if (linePrefix === '' || linePrefix.trim() !== '') this.held = null;
  }

  push(text: string): FilterResult {
    if (this.held === null) return { release: text };
    this.held += text;
    const start = /[^ \t]/.exec(this.held)?.index;
    if (start === undefined) return { release: '' };
    const extra = this.held.slice(0, start);
    const release = indentationOf(extra) > this.most ? this.fitting(extra) + this.held.slice(start) : this.held;
    this.held = null;
    return { release };
  }

  end(): string {
    return '';
  }

  private fitting(extra: string): string {
    let kept = extra;
    while (indentationOf(kept) > this.most) kept = kept.slice(1);
    return kept;
  }
}

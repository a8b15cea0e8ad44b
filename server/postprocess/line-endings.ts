/** Line endings: `\n` while the other filters work, the document's own on the way out. */
import type { FilterResult, TextFilter } from './filter';

/** `\r\n` and lone `\r` to `\n`; a `\r` at the end waits for what follows. */
export class UnixLineEndings implements TextFilter {
  private held = '';

  push(text: string): FilterResult {
    const all = this.held + text;
    this.held = all.endsWith('\r') ? '\r' : '';
    return { release: all.slice(0, all.length - this.held.length).replace(/\r\n?/g, '\n') };
  }

  end(): string {
    return this.held === '' ? '' : '\n';
  }
}

export class DocumentLineEndings implements TextFilter {
  constructor(private readonly crlf: boolean) {}

  push(text: string): FilterResult {
    return { release: this.crlf ? text.replaceAll('\n', '\r\n') : text };
  }

  end(): string {
    return '';
  }
}

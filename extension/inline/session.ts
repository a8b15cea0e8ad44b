/**
 * One completion while it is generated, shown and typed along. Pure: knows positions and text, nothing of VS Code.
 *
 * The session holds the text that is not yet in the document (`pending`) and where it belongs (`position`). Blocks only
 * ever append to it; document changes that write a beginning of it at that place (typing, accepting a word, a line or
 * all of it) take it off the front; any other change cancels. Text is normalised to "\n".
 */

export interface Place {
  readonly line: number;
  readonly character: number;
}

export interface DocumentChange {
  readonly start: Place;
  readonly end: Place;
  readonly text: string;
}

/** The suggest widget's selected item; both characters lie on the cursor's line. */
export interface SelectedItem {
  readonly startCharacter: number;
  readonly endCharacter: number;
  readonly text: string;
}

export interface SessionStart {
  readonly requestId: number;
  readonly uri: string;
  readonly position: Place;
  /** Text of the cursor's line before the cursor. */
  readonly linePrefix: string;
  readonly selected?: SelectedItem;
}

/** What to show: `text` in place of that many characters before and after the cursor. */
export interface Offer {
  readonly text: string;
  readonly replaceBefore: number;
  readonly replaceAfter: number;
}

export type Answer =
  | { readonly kind: 'offer'; readonly offer: Offer }
  /** Text may still come for this place: wait for `onChange`. */
  | { readonly kind: 'wait' }
  /** This place has been asked for already and has nothing to show. */
  | { readonly kind: 'nothing' }
  /** The session does not belong to this place; ask for a new one. */
  | { readonly kind: 'other' };

type State = 'streaming' | 'complete' | 'dismissed' | 'cancelled';

const CLOSERS_ONLY = /^[)\]}>"'`]+$/;
const OPENER_OF: Readonly<Record<string, string>> = { ')': '(', ']': '[', '}': '{', '>': '<' };

export class Session {
  readonly requestId: number;
  readonly uri: string;
  private state: State = 'streaming';
  private place: Place;
  private linePrefix: string;
  private pending = '';
  /** Length of the selected item's text at the front of `pending`: not generated, so never shown alone. */
  private seedLength = 0;
  /** Document text before the cursor that `pending` stands in place of (a selected item that is no continuation). */
  private replaced = '';
  /** Closing characters the editor put after the cursor by itself. */
  private closers = '';
  private lastInsert = '';
  private receivedAny = false;
  private heldReturn = '';
  private readonly listeners = new Set<() => void>();

  constructor(start: SessionStart) {
    this.requestId = start.requestId;
    this.uri = start.uri;
    this.place = start.position;
    this.linePrefix = start.linePrefix;
    if (start.selected !== undefined) {
      const word = start.linePrefix.slice(start.selected.startCharacter);
      const continues = start.selected.text.startsWith(word);
      this.replaced = continues ? '' : word;
      this.pending = continues ? start.selected.text.slice(word.length) : start.selected.text;
      this.seedLength = this.pending.length;
    }
  }

  /** Where the pending text belongs. */
  get position(): Place {
    return this.place;
  }

  /** What is not in the document yet. */
  get text(): string {
    return this.pending;
  }

  /** Whether the session still has something to show, or may get it. */
  get alive(): boolean {
    return this.state === 'streaming' || (this.state === 'complete' && this.pending.length > this.seedLength);
  }

  /** Whether its generation should go on. */
  get streaming(): boolean {
    return this.state === 'streaming';
  }

  get dismissed(): boolean {
    return this.state === 'dismissed';
  }

  /** Appends generated text. Text that comes after an end is late and ignored. */
  append(block: string): void {
    if (this.state !== 'streaming' || block === '') return;
    // A "\r" at the end may be half of a line break: it waits for the block after it.
    const raw = this.heldReturn + block;
    this.heldReturn = raw.endsWith('\r') ? '\r' : '';
    const text = normaliseLineBreaks(raw.slice(0, raw.length - this.heldReturn.length));
    if (text === '') return;
    this.pending += text;
    this.receivedAny = true;
    this.wake();
  }

  /** No more text will come. */
  finish(): void {
    if (this.state === 'streaming') this.state = 'complete';
    this.wake();
  }

  /** The user wants it gone: nothing is shown again for this place unless asked for explicitly. */
  dismiss(): void {
    if (this.state !== 'cancelled') this.state = 'dismissed';
    this.wake();
  }

  cancel(): void {
    this.state = 'cancelled';
    this.wake();
  }

  /** Calls back at every block, end or cancellation until the returned function is called. */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
    };
  }

  /** Whether all of its text was written into the document, up to this place. */
  takenUpTo(uri: string, cursor: Place): boolean {
    const { line, character } = this.place;
    const here = uri === this.uri && cursor.line === line && cursor.character === character;
    return here && this.state === 'complete' && this.receivedAny && this.pending === '';
  }

  /** Whether somebody waits for text. */
  get awaited(): boolean {
    return this.listeners.size > 0;
  }

  /**
   * Takes a change of the document into account.
   * @returns how many characters of the text it wrote, or null where it was another change and cancelled the session.
   */
  apply(changes: readonly DocumentChange[]): number | null {
    if (changes.length === 0) return 0;
    const [change] = changes;
    const taken =
      changes.length === 1 && change !== undefined && this.state !== 'dismissed' && this.state !== 'cancelled'
        ? this.applyOne(change)
        : null;
    if (taken === null) this.cancel();
    return taken;
  }

  private applyOne(change: DocumentChange): number | null {
    const { start, end } = change;
    if (start.line !== this.place.line || end.line !== this.place.line) return null;
    if (start.character > this.place.character || end.character < this.place.character) return null;
    const overwritten = end.character - this.place.character;
    if (overwritten > this.closers.length) return null;

    const removed = this.linePrefix.slice(start.character);
    let text = normaliseLineBreaks(change.text);
    if (this.replaced !== '') {
      // The selected item replaces what was typed: only its own acceptance fits.
      if (removed !== this.replaced) return null;
    } else {
      if (!text.startsWith(removed)) return null;
      text = text.slice(removed.length);
    }
    const head = this.matchingHead(text);
    if (head === null) return null;

    if (this.replaced !== '') {
      this.linePrefix = this.linePrefix.slice(0, start.character);
      this.place = { line: start.line, character: start.character };
      this.replaced = '';
    }
    this.closers = text.slice(head.length) + this.closers.slice(overwritten);
    this.take(head);
    return head.length;
  }

  /** The part of an inserted text that is the session's own; what follows it must be closers the editor added. */
  private matchingHead(text: string): string | null {
    if (this.pending.startsWith(text)) return text;
    let length = 0;
    while (length < text.length && text[length] === this.pending[length]) length += 1;
    return length > 0 && CLOSERS_ONLY.test(text.slice(length)) ? text.slice(0, length) : null;
  }

  private take(text: string): void {
    this.pending = this.pending.slice(text.length);
    this.seedLength = Math.max(0, this.seedLength - text.length);
    this.lastInsert = text;
    const lines = text.split('\n');
    const last = lines.at(-1) ?? '';
    if (lines.length === 1) {
      this.linePrefix += last;
      this.place = { line: this.place.line, character: this.place.character + last.length };
    } else {
      this.linePrefix = last;
      this.place = { line: this.place.line + lines.length - 1, character: last.length };
      this.closers = '';
    }
  }

  /**
   * Whether the cursor stands where the text belongs. A bracket and its automatic closer come as one insertion, "()",
   * that may be the text's own beginning; the cursor tells: between the two, the closer was not taken.
   */
  settle(cursor: Place): boolean {
    const { line, character } = this.place;
    if (cursor.line !== line) return false;
    const back = character - cursor.character;
    if (back === 0) return true;
    const untaken = this.lastInsert.slice(-back);
    if (back < 0 || back >= this.lastInsert.length || !CLOSERS_ONLY.test(untaken)) return false;
    this.pending = untaken + this.pending;
    this.closers = untaken + this.closers;
    this.linePrefix = this.linePrefix.slice(0, -back);
    this.place = cursor;
    this.lastInsert = '';
    return true;
  }

  /** What the session has for a cursor place and the suggest widget's selected item, if any. */
  ask(uri: string, cursor: Place, selected?: SelectedItem): Answer {
    if (uri !== this.uri || this.state === 'cancelled' || !this.settle(cursor)) return { kind: 'other' };
    if (this.state === 'dismissed') return { kind: 'nothing' };
    return selected === undefined ? this.askPlain() : this.askSelected(cursor, selected);
  }

  private askPlain(): Answer {
    if (this.replaced !== '' || this.seedLength > 0) return { kind: 'other' };
    if (this.pending === '') return this.empty();
    return {
      kind: 'offer',
      offer: { text: this.pending, replaceBefore: 0, replaceAfter: closedBy(this.pending, this.closers) },
    };
  }

  private askSelected(cursor: Place, selected: SelectedItem): Answer {
    const word = this.linePrefix.slice(selected.startCharacter);
    if (this.replaced !== '' && this.replaced !== word) return { kind: 'other' };
    const text = this.replaced === '' ? word + this.pending : this.pending;
    if (!text.startsWith(selected.text)) return { kind: 'other' };
    if (text.length === selected.text.length || this.pending.length === this.seedLength) return this.empty();
    const replaceAfter = selected.endCharacter - cursor.character;
    return { kind: 'offer', offer: { text, replaceBefore: word.length, replaceAfter } };
  }

  private empty(): Answer {
    if (this.state === 'streaming') return { kind: 'wait' };
    // All of it is in the document by now: the place after it is a new one.
    return { kind: this.receivedAny ? 'other' : 'nothing' };
  }

  private wake(): void {
    for (const listener of [...this.listeners]) listener();
  }
}

function normaliseLineBreaks(text: string): string {
  return text.replace(/\r\n?/g, '\n');
}

/**
 * How many of the closers after the cursor `text` brings itself, so that accepting must replace them: the bracket that
 * closes one opened before the text, or the quote that ends the string the cursor is in.
 */
function closedBy(text: string, closers: string): number {
  let closed = 0;
  let depth: string[] = [];
  for (const character of text) {
    const wanted = closers[closed];
    if (wanted === undefined) break;
    const opener = OPENER_OF[wanted];
    if (character === wanted && depth.length === 0) {
      closed += 1;
    } else if (opener !== undefined && character === opener) {
      depth.push(wanted);
    } else if (character === depth.at(-1)) {
      depth = depth.slice(0, -1);
    }
  }
  return closed;
}

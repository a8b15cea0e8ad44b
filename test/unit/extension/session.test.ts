import { describe, expect, it } from 'vitest';
import { Session, type DocumentChange, type SelectedItem, type SessionStart } from '../../../extension/inline/session';

const URI = 'file:///a.ts';

function start(prefix: string, more: Partial<SessionStart> = {}): Session {
  return new Session({
    requestId: 1,
    uri: URI,
    position: { line: 3, character: prefix.length },
    linePrefix: prefix,
    ...more,
  });
}

/** The editor's change for typing or accepting `text` at the session's place. */
function insert(session: Session, text: string, removedBefore = 0, removedAfter = 0): DocumentChange[] {
  const { line, character } = session.position;
  const from = { line, character: character - removedBefore };
  return [{ start: from, end: { line, character: character + removedAfter }, text }];
}

function offered(session: Session, selected?: SelectedItem): string {
  const answer = session.ask(URI, session.position, selected);
  return answer.kind === 'offer' ? answer.offer.text : `<${answer.kind}>`;
}

describe('a session while it streams', () => {
  it('waits until the first block, then offers all text so far', () => {
    const session = start('let x');
    expect(offered(session)).toBe('<wait>');
    session.append(' = 1');
    expect(offered(session)).toBe(' = 1');
    session.append(' + 2;');
    expect(offered(session)).toBe(' = 1 + 2;');
  });

  it('calls back for each block until it is told to stop', () => {
    const session = start('');
    let calls = 0;
    const stop = session.onChange(() => (calls += 1));
    expect(session.awaited).toBe(true);
    session.append('a');
    session.append('');
    stop();
    session.append('b');
    expect(calls).toBe(1);
    expect(session.awaited).toBe(false);
  });

  it('answers nothing for its place when it ended without text, and is over when all text is in the document', () => {
    const silent = start('x');
    silent.finish();
    expect(offered(silent)).toBe('<nothing>');
    expect(silent.alive).toBe(false);

    const taken = start('x');
    taken.append('yz');
    taken.finish();
    expect(taken.apply(insert(taken, 'yz'))).toBe(2);
    expect(taken.alive).toBe(false);
    expect(offered(taken)).toBe('<other>');
  });

  it('ignores blocks after its end, dismissal or cancellation', () => {
    for (const end of ['finish', 'dismiss', 'cancel'] as const) {
      const session = start('');
      session.append('a');
      session[end]();
      session.append('b');
      const answer = session.ask(URI, session.position);
      expect(answer).toEqual(
        end === 'finish'
          ? { kind: 'offer', offer: { text: 'a', replaceBefore: 0, replaceAfter: 0 } }
          : { kind: end === 'dismiss' ? 'nothing' : 'other' },
      );
    }
  });

  it('normalises line breaks, also one that two blocks share', () => {
    const session = start('');
    session.append('a\r');
    expect(offered(session)).toBe('a');
    session.append('\nb\r\nc');
    expect(offered(session)).toBe('a\nb\nc');
  });

  it('belongs to one document', () => {
    const session = start('');
    session.append('a');
    expect(session.ask('file:///b.ts', session.position)).toEqual({ kind: 'other' });
  });
});

describe('typing along', () => {
  it('takes typed characters off the front, also while more text comes', () => {
    const session = start('let x');
    session.append(' = fo');
    expect(session.apply(insert(session, ' '))).toBe(1);
    expect(session.apply(insert(session, '='))).toBe(1);
    expect(offered(session)).toBe(' fo');
    session.append('o();');
    expect(offered(session)).toBe(' foo();');
    expect(session.position).toEqual({ line: 3, character: 7 });
  });

  it('waits at the front of the stream when everything so far was typed', () => {
    const session = start('');
    session.append('ab');
    session.apply(insert(session, 'a'));
    session.apply(insert(session, 'b'));
    expect(offered(session)).toBe('<wait>');
    session.append('c');
    expect(offered(session)).toBe('c');
  });

  it('follows over line breaks, whatever the document writes for them', () => {
    const session = start('if (x) {');
    session.append('\n  return;\n}');
    expect(session.apply(insert(session, '\r\n  '))).toBe(3);
    expect(session.position).toEqual({ line: 4, character: 2 });
    expect(offered(session)).toBe('return;\n}');
    expect(session.apply(insert(session, 'r'))).toBe(1);
  });

  it.each([
    ['another character', (s: Session) => insert(s, 'z')],
    ['backspace', (s: Session) => insert(s, '', 1)],
    ['more than has come', (s: Session) => insert(s, 'abcd')],
    ['an edit elsewhere', () => [{ start: { line: 0, character: 0 }, end: { line: 0, character: 0 }, text: 'a' }]],
    ['two edits at once', (s: Session) => [...insert(s, 'a'), ...insert(s, 'a')]],
    ['overwriting what follows', (s: Session) => insert(s, 'a', 0, 1)],
  ])('is cancelled by %s', (_name, change) => {
    const session = start('x');
    session.append('abc');
    expect(session.apply(change(session))).toBeNull();
    expect(session.streaming).toBe(false);
    expect(session.alive).toBe(false);
    session.append('d');
    expect(session.ask(URI, { line: 3, character: 1 })).toEqual({ kind: 'other' });
  });

  it('is not at a cursor that moved away, and still there when it comes back', () => {
    const session = start('abc');
    session.append('d');
    expect(session.settle({ line: 3, character: 1 })).toBe(false);
    expect(session.settle({ line: 4, character: 3 })).toBe(false);
    expect(session.settle({ line: 3, character: 3 })).toBe(true);
  });

  it('changes nothing for an event without changes', () => {
    const session = start('');
    session.append('a');
    expect(session.apply([])).toBe(0);
    expect(offered(session)).toBe('a');
  });
});

describe('accepting', () => {
  it('keeps what is accepted by word or line and goes on from there', () => {
    const session = start('');
    session.append('foo bar\nbaz');
    expect(session.apply(insert(session, 'foo '))).toBe(4);
    expect(session.apply(insert(session, 'bar'))).toBe(3);
    expect(offered(session)).toBe('\nbaz');
    expect(session.alive).toBe(true);
  });

  it('goes on streaming after all that was shown is accepted', () => {
    const session = start('x');
    session.append(' = 1;');
    session.apply(insert(session, ' = 1;'));
    expect(session.alive).toBe(true);
    expect(offered(session)).toBe('<wait>');
    session.append('\ny');
    expect(offered(session)).toBe('\ny');
  });

  it('knows that all of it was taken, there and only there', () => {
    const session = start('x');
    session.append(' = 1;\ny');
    session.finish();
    const end = { line: 4, character: 1 };
    expect(session.takenUpTo(URI, end)).toBe(false);
    session.apply(insert(session, ' = 1;'));
    expect(session.takenUpTo(URI, session.position)).toBe(false);
    session.apply(insert(session, '\ny'));
    expect(session.takenUpTo(URI, end)).toBe(true);
    expect(session.takenUpTo(URI, { line: 4, character: 0 })).toBe(false);
    expect(session.takenUpTo('file:///b.ts', end)).toBe(false);
    const streaming = start('x');
    streaming.append('y');
    streaming.apply(insert(streaming, 'y'));
    expect(streaming.takenUpTo(URI, streaming.position)).toBe(false);
  });

  it('takes less than what has come by now', () => {
    const session = start('x');
    session.append(' = 1');
    session.append(' + 2');
    session.apply(insert(session, ' = 1'));
    expect(offered(session)).toBe(' + 2');
  });

  it('recognises an edit that also rewrites the word before the cursor', () => {
    const session = start('  con');
    session.append('sole.log');
    expect(session.apply(insert(session, 'console.log', 3))).toBe(8);
    expect(session.position).toEqual({ line: 3, character: 13 });
  });
});

describe('dismissal', () => {
  it('shows nothing again at its place, and lets go of the place with the next change', () => {
    const session = start('x');
    session.append('abc');
    session.dismiss();
    expect(session.alive).toBe(false);
    expect(offered(session)).toBe('<nothing>');
    expect(session.apply(insert(session, 'a'))).toBeNull();
    expect(offered(session)).toBe('<other>');
  });

  it('cannot be dismissed back to life after a cancellation', () => {
    const session = start('x');
    session.cancel();
    session.dismiss();
    expect(offered(session)).toBe('<other>');
  });
});

describe('closers the editor adds', () => {
  it('takes the opener alone and has acceptance replace the closer it brings itself', () => {
    const session = start('foo');
    session.append('(a, (b)) {');
    expect(session.apply(insert(session, '()'))).toBe(1);
    const answer = session.ask(URI, { line: 3, character: 4 });
    expect(answer).toEqual({ kind: 'offer', offer: { text: 'a, (b)) {', replaceBefore: 0, replaceAfter: 1 } });
  });

  it('leaves the closer while the text does not bring it', () => {
    const session = start('foo');
    session.append('(bar(x)');
    session.apply(insert(session, '()'));
    expect(session.ask(URI, session.position)).toMatchObject({ offer: { text: 'bar(x)', replaceAfter: 0 } });
    session.append(')');
    expect(session.ask(URI, session.position)).toMatchObject({ offer: { text: 'bar(x))', replaceAfter: 1 } });
  });

  it('tells "()" typed from "()" accepted by the cursor', () => {
    for (const [character, text, replaceAfter] of [
      [4, ') {', 1],
      [5, ' {', 0],
    ] as const) {
      const session = start('foo');
      session.append('() {');
      session.apply(insert(session, '()'));
      expect(session.ask(URI, { line: 3, character })).toEqual({
        kind: 'offer',
        offer: { text, replaceBefore: 0, replaceAfter },
      });
    }
  });

  it('follows typing over the closer', () => {
    const session = start('foo');
    session.append('(a);');
    session.apply(insert(session, '()'));
    session.apply(insert(session, 'a'));
    expect(session.apply(insert(session, ')', 0, 1))).toBe(1);
    expect(session.ask(URI, session.position)).toMatchObject({ offer: { text: ';', replaceAfter: 0 } });
  });

  it('follows acceptance that replaces the closer', () => {
    const session = start('s = ');
    session.append('"hi";');
    session.apply(insert(session, '""'));
    expect(session.ask(URI, { line: 3, character: 5 })).toMatchObject({ offer: { text: 'hi";', replaceAfter: 1 } });
    expect(session.apply(insert(session, 'hi";', 0, 1))).toBe(4);
    expect(session.position).toEqual({ line: 3, character: 9 });
  });
});

describe('the suggest widget’s selected item', () => {
  const selected = { startCharacter: 2, endCharacter: 5, text: 'console' };

  it('offers an item that starts with the selected text in its range', () => {
    const session = start('  con', { selected });
    expect(offered(session, selected)).toBe('<wait>');
    session.append('.log(x)');
    expect(session.ask(URI, session.position, selected)).toEqual({
      kind: 'offer',
      offer: { text: 'console.log(x)', replaceBefore: 3, replaceAfter: 0 },
    });
  });

  it('goes on when the item is typed along or taken', () => {
    const typed = start('  con', { selected });
    typed.append('.log(x)');
    typed.apply(insert(typed, 's'));
    expect(offered(typed, { ...selected, endCharacter: 6 })).toBe('console.log(x)');

    const taken = start('  con', { selected });
    taken.append('.log(x)');
    expect(taken.apply(insert(taken, 'console', 3))).toBe(4);
    expect(offered(taken)).toBe('.log(x)');
  });

  it('does not offer the widget’s text when the widget is gone or has another item', () => {
    const session = start('  con', { selected });
    session.append('.log(x)');
    expect(offered(session)).toBe('<other>');
    expect(offered(session, { ...selected, text: 'const' })).toBe('<other>');
  });

  it('has nothing to show when nothing follows the item', () => {
    const session = start('  con', { selected });
    session.finish();
    expect(offered(session, selected)).toBe('<nothing>');
    expect(session.alive).toBe(false);
  });

  it('replaces a word that the item does not continue, and follows its acceptance only', () => {
    const fuzzy = { startCharacter: 2, endCharacter: 6, text: 'console' };
    const session = start('  cnsl', { selected: fuzzy });
    session.append('.log(x)');
    expect(session.ask(URI, session.position, fuzzy)).toEqual({
      kind: 'offer',
      offer: { text: 'console.log(x)', replaceBefore: 4, replaceAfter: 0 },
    });
    expect(session.apply(insert(session, 'console', 4))).toBe(7);
    expect(session.position).toEqual({ line: 3, character: 9 });
    expect(offered(session)).toBe('.log(x)');

    const typed = start('  cnsl', { selected: fuzzy });
    typed.append('.log(x)');
    expect(typed.apply(insert(typed, 'e'))).toBeNull();
  });

  it('is served from a plain session whose text goes the same way', () => {
    const session = start('  con');
    session.append('sole.log(x)');
    expect(offered(session, selected)).toBe('console.log(x)');
  });

  it('also replaces what the item’s range covers after the cursor', () => {
    const wide = { ...selected, endCharacter: 8 };
    const session = start('  con', { selected: wide });
    session.append('.log');
    expect(session.ask(URI, session.position, wide)).toMatchObject({ offer: { replaceAfter: 3 } });
  });
});

// What a recording of the ghost text says: did it grow, was it ever blank, was anything taken back?

/** The ghost text from this moment on, until the next frame. Times are the page's, in ms. */
export interface Frame {
  readonly atMs: number;
  readonly text: string;
}

export interface Recording {
  readonly frames: readonly Frame[];
  readonly keys: readonly { readonly atMs: number; readonly key: string }[];
}

/** Frames from the first one with text on. */
function shown(frames: readonly Frame[]): readonly Frame[] {
  const first = frames.findIndex((frame) => frame.text !== '');
  return first === -1 ? [] : frames.slice(first);
}

/** Frames without text after the first one with text, the last state aside: a blank that is filled again is flicker. */
export function blankFrames(frames: readonly Frame[]): number {
  return shown(frames).filter((frame) => frame.text === '').length;
}

/** The different lengths the text had, in their order: more than one means that it grew. */
export function growth(frames: readonly Frame[]): number[] {
  return shown(frames).map((frame) => frame.text.length);
}

/**
 * Checks that the ghost text was only ever appended to, while the user typed `typed` along with it: every frame must be
 * the start of what is left of the final text after some part of `typed`.
 * @returns the first frame that is not, or null
 */
export function firstTakenBack(frames: readonly Frame[], typed = ''): Frame | null {
  const last = shown(frames).at(-1);
  if (last === undefined) return null;
  const whole = typed + last.text;
  let from = 0;
  for (const frame of shown(frames)) {
    while (from <= typed.length && !whole.startsWith(frame.text, from)) from += 1;
    if (from > typed.length) return frame;
  }
  return null;
}

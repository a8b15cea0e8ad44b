/** Text that is no text: NUL characters, or much that could not be decoded. */

const MOST_UNDECODED = 0.05;

export function looksBinary(text: string): boolean {
  if (text.includes('\0')) return true;
  const undecoded = text.split('\uFFFD').length - 1;
  return undecoded > 4 && undecoded / text.length > MOST_UNDECODED;
}

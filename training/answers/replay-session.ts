/**
 * A session for answers that were written elsewhere and need only the product's rules. Those look at the document's text,
 * never at the prompt's tokens, so nothing is tokenized: that would be nine tenths of the work.
 */
import type { NativeEngine } from '../../server/engine/addon';
import { BatchSession } from './batch-session';
import { RecordedAnswer } from './recorded-answer';
import type { RecordedToken } from './request';

export class ReplaySession extends BatchSession {
  constructor(engine: NativeEngine, tokens: readonly RecordedToken[]) {
    super(engine, new RecordedAnswer(tokens));
  }

  /** One token for each text, so that prompts fit and are not empty. */
  override tokenize(texts: readonly string[]): Promise<readonly (readonly number[])[]> {
    return Promise.resolve(texts.map(() => [0]));
  }
}

/** An answer that was written elsewhere, token by token until the product's rules end it. */
import type { AnswerSource, BatchEnd, BatchRequest } from './batch-program';
import type { RecordedToken } from './request';

export class RecordedAnswer implements AnswerSource {
  private used = false;

  constructor(private readonly tokens: readonly RecordedToken[]) {}

  answer({ maxTokens, onToken }: BatchRequest, signal: AbortSignal): Promise<BatchEnd> {
    // A prompt that is tried again in another form has another answer, which is not here.
    const tokens = this.used ? [] : this.tokens.slice(0, maxTokens);
    this.used = true;
    for (const { token, bytes } of tokens) {
      onToken(token, bytes);
      if (signal.aborted) return Promise.resolve('stopped');
      if (bytes.length === 0) return Promise.resolve('endOfText');
    }
    return Promise.resolve('maxTokens');
  }
}

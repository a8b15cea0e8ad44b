/** An engine session of the product whose tokens come from elsewhere: everything around them is the product's own. */
import type { ChatMessage, FimTokens, VerificationStats } from '../../protocol/messages';
import type { NativeEngine } from '../../server/engine/addon';
import type { EngineJob, GeneratedResult } from '../../server/engine/child';
import type { EngineSession } from '../../server/engine/client';
import { TokenDecoder } from '../../server/engine/token-decoder';
import type { AnswerSource } from './batch-program';

/** What the target was asked and what it wrote, in tokens. */
export interface Transcript {
  readonly prompt: readonly number[];
  /** Tokens beside the prompt that lookup may copy from. */
  readonly lookup: readonly number[];
  /** Up to the token with which the text ended, an end-of-text token included. */
  readonly answer: readonly number[];
  readonly maxTokens: number;
}

/** The answers' passes are not what is looked at: each is one token of plain decoding. */
const PLAIN_PASS: VerificationStats = {
  drafter: 'none',
  drafted: 0,
  accepted: 0,
  nodes: 0,
  rows: 1,
  emitted: 1,
  draftMs: 0,
  verifyMs: 0,
  reason: 'nothing',
  expectedTokens: 1,
};

export class BatchSession implements EngineSession {
  readonly description: EngineSession['description'];
  readonly fim: FimTokens | null;
  /** Of the last generation; null before the first. */
  transcript: Transcript | null = null;

  constructor(
    private readonly engine: NativeEngine,
    private readonly source: AnswerSource,
  ) {
    this.fim = engine.fim;
    this.description = {
      target: engine.target,
      drafter: null,
      drafterNote: null,
      backend: { name: 'batch', devices: [], notes: [] },
      threads: engine.threads,
      loadMs: 0,
    };
  }

  tokenize(
    texts: readonly string[],
    { addBos, parseSpecial }: { addBos: boolean; parseSpecial: boolean },
  ): Promise<readonly (readonly number[])[]> {
    return Promise.resolve(texts.map((text) => Array.from(this.engine.tokenize(text, addBos, parseSpecial))));
  }

  template(messages: readonly ChatMessage[]): Promise<string> {
    return Promise.resolve(this.engine.applyChatTemplate(messages));
  }

  async generate(job: EngineJob, signal: AbortSignal): Promise<GeneratedResult> {
    const answer: number[] = [];
    const decoder = new TokenDecoder();
    const { maxTokens, sampling } = job.options;
    this.transcript = { prompt: job.prompt, lookup: job.lookup, answer, maxTokens };
    const end = await this.source.answer(
      {
        prompt: job.prompt,
        maxTokens,
        temperature: sampling.temperature,
        seed: sampling.seed,
        onToken: (token, bytes) => {
          answer.push(token);
          // An end token has no text; the product's engine does not report it either.
          if (bytes.length === 0) return;
          job.onVerified({
            event: 'verified',
            id: 0,
            pass: PLAIN_PASS,
            tokens: [{ text: decoder.push(bytes), origin: 'plain' }],
          });
        },
      },
      signal,
    );
    return { reason: end === 'stopped' ? 'cancelled' : end, plainPassMs: null };
  }
}

/** Answers `specdiff/summarize`. */
import type { SummarizeParams, SummarizeResult } from '../../protocol/messages';
import type { ServerSettings } from '../../protocol/settings';
import { refusal } from '../completion/complete';
import type { EngineClient } from '../engine/client';
import { summarize } from '../summary/summarize';
import type { OpenDocuments } from './documents';
import { answer, type RequestOutput } from './generation-request';

export interface SummaryEnvironment {
  readonly engine: EngineClient;
  readonly documents: Pick<OpenDocuments, 'get'>;
  readonly settings: () => ServerSettings;
}

/** As much of a selection as is looked at to tell whether it is text. */
const LOOKED_AT = 100_000;

export class SummaryRequests {
  constructor(
    private readonly environment: SummaryEnvironment,
    private readonly output: RequestOutput,
  ) {}

  async summarize(params: SummarizeParams, signal: AbortSignal): Promise<SummarizeResult> {
    const arrivedAt = performance.now();
    const { requestId, uri, version, range } = params;
    const settings = this.environment.settings();
    const document = this.environment.documents.get(uri);
    if (document?.version !== version) return { outcome: 'stale', text: '', stats: null };
    const text = document.getText(range);
    const message =
      text.trim() === ''
        ? 'There is no text in the selection; select what is to be summarized.'
        : refusal(uri, text.slice(0, LOOKED_AT), '');
    if (message !== null) return { outcome: 'refused', text: '', stats: null, message };
    const { languageId } = document;
    const { answer: answered, result } = await answer(requestId, 'summary', this.output, (sink) =>
      this.environment.engine.run('summary', signal, (session, either) =>
        summarize({ requestId, languageId, text, arrivedAt }, session, settings, sink, either),
      ),
    );
    if (result === null) return answered;
    const { cut, unfinished } = result;
    return { ...answered, ...(cut === null ? {} : { cut }), ...(unfinished ? { unfinished } : {}) };
  }
}

/** Answers `specdiff/complete` and, for other editors, `textDocument/inlineCompletion`. */
import type { InlineCompletionItem, Range } from 'vscode-languageserver/node';
import type { CompleteParams, CompleteResult } from '../../protocol/messages';
import type { ServerSettings } from '../../protocol/settings';
import { complete, cursorBudget, refusal } from '../completion/complete';
import { cursorText } from '../completion/source';
import { LookupContext } from '../context/lookup';
import type { EngineClient, EngineSession } from '../engine/client';
import type { OpenDocuments } from './documents';
import { answer, type RequestOutput } from './generation-request';

export interface CompletionEnvironment {
  readonly engine: EngineClient;
  readonly documents: Pick<OpenDocuments, 'get' | 'others'>;
  readonly settings: () => ServerSettings;
  readonly workspaceTrusted: boolean;
}

type CompletionPlace = Omit<CompleteParams, 'version' | 'trigger'> & { readonly version: number | null };

export class CompletionRequests {
  private readonly lookup = new LookupByTarget();
  private standardRequests = 0;

  constructor(
    private readonly environment: CompletionEnvironment,
    private readonly output: RequestOutput,
  ) {}

  complete(params: CompleteParams, signal: AbortSignal): Promise<CompleteResult> {
    return this.run(params, this.output, signal);
  }

  /** The standard request cannot stream: the whole text comes as one item. */
  async inlineCompletion(
    uri: string,
    position: { line: number; character: number },
    selected: { readonly range: Range; readonly text: string } | undefined,
    signal: AbortSignal,
  ): Promise<InlineCompletionItem[]> {
    const silent: RequestOutput = { block: () => {}, telemetry: () => {}, log: this.output.log };
    const { text } = await this.run(
      {
        // Negative: the client counts its own up from 1.
        requestId: -++this.standardRequests,
        uri,
        version: null,
        position,
        ...(selected === undefined ? {} : { selectedCompletion: selected }),
      },
      silent,
      signal,
    );
    if (text === '' || signal.aborted) return [];
    if (selected === undefined) return [{ insertText: text, range: { start: position, end: position } }];
    return [{ insertText: selected.text + text, range: selected.range, filterText: selected.text }];
  }

  private async run(place: CompletionPlace, output: RequestOutput, signal: AbortSignal): Promise<CompleteResult> {
    const arrivedAt = performance.now();
    const { requestId, uri, position, selectedCompletion: selected } = place;
    const { engine, documents, workspaceTrusted } = this.environment;
    const settings = this.environment.settings();
    const document = documents.get(uri);
    if (document === undefined || (place.version !== null && document.version !== place.version)) {
      return { outcome: 'stale', text: '', stats: null };
    }
    const budget = cursorBudget(settings);
    const insertion = selected === undefined ? null : { start: selected.range.start, text: selected.text };
    const text = cursorText(document, position, insertion, budget.before, budget.after);
    const message = refusal(uri, text.before, text.after);
    if (message !== null) return { outcome: 'refused', text: '', stats: null, message };
    const { languageId } = document;
    const { answer: result } = await answer(requestId, 'completion', output, (sink) =>
      engine.run('completion', signal, (session, either) => {
        const others = workspaceTrusted ? documents.others(uri) : [];
        const job = { requestId, uri, languageId, text, others, arrivedAt };
        return complete(job, session, this.lookup.of(session), settings, sink, either);
      }),
    );
    return result;
  }
}

/** Cached lookup tokens hold for one target. */
class LookupByTarget {
  private target = '';
  private context = new LookupContext();

  of({ description }: EngineSession): LookupContext {
    if (description.target.path !== this.target) {
      this.target = description.target.path;
      this.context = new LookupContext();
    }
    return this.context;
  }
}

/** Answers `specdiff/complete` and, for other editors, `textDocument/inlineCompletion`. */
import type { InlineCompletionItem, Range } from 'vscode-languageserver/node';
import type { CompleteParams, CompleteResult } from '../../protocol/messages';
import type { ServerSettings } from '../../protocol/settings';
import { CompletionAhead } from '../completion/ahead';
import { complete, cursorBudget, refusal } from '../completion/complete';
import { cursorText, type CursorText, type SourceDocument } from '../completion/source';
import { LookupContext } from '../context/lookup';
import type { EngineClient, EngineSession } from '../engine/client';
import type { GenerationResult, GenerationSink } from '../generation/generate';
import type { OpenDocuments } from './documents';
import { answer, type RequestOutput } from './generation-request';

export interface CompletionEnvironment {
  readonly engine: EngineClient;
  readonly documents: Pick<OpenDocuments, 'get' | 'others'>;
  readonly settings: () => ServerSettings;
  readonly workspaceTrusted: boolean;
}

type CompletionRequest = Omit<CompleteParams, 'version' | 'trigger'> & { readonly version: number | null };

/** Nobody sees it: an event of a completion begun ahead gets the number of the request that takes it. */
const NO_REQUEST = 0;

export class CompletionRequests {
  private readonly lookup = new LookupByTarget();
  private ahead: CompletionAhead | null = null;
  /** Of requests that went to the engine. */
  private runs = 0;
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

  /** Ends the completion that nobody has asked for yet: something else wants the engine, or the settings are others. */
  dropAhead(): void {
    this.ahead?.drop();
    this.ahead = null;
  }

  private async run(request: CompletionRequest, output: RequestOutput, signal: AbortSignal): Promise<CompleteResult> {
    const arrivedAt = performance.now();
    const { requestId, uri, position, selectedCompletion: selected } = request;
    const settings = this.environment.settings();
    const document = this.environment.documents.get(uri);
    if (document === undefined || (request.version !== null && document.version !== request.version)) {
      return { outcome: 'stale', text: '', stats: null };
    }
    const { version } = document;
    const budget = cursorBudget(settings);
    const insertion = selected === undefined ? null : { start: selected.range.start, text: selected.text };
    const text = cursorText(document, position, insertion, budget.before, budget.after);
    const message = refusal(uri, text.before, text.after);
    if (message !== null) return { outcome: 'refused', text: '', stats: null, message };
    const run = ++this.runs;
    const ahead = this.ahead?.isAt({ uri, text }) === true ? this.ahead : null;
    if (ahead === null) this.dropAhead();
    this.ahead = null;
    const { answer: result } = await answer(requestId, 'completion', output, (sink) =>
      ahead === null
        ? this.generate(requestId, document, text, arrivedAt, settings, sink, signal)
        : ahead.take(requestId, sink, arrivedAt, signal),
    );
    const accepted = settings.ahead && result.outcome === 'done' && selected === undefined ? result.text : '';
    // Nothing has happened meanwhile that makes another request likely, or is one.
    const last = run === this.runs && !signal.aborted && settings === this.environment.settings();
    if (accepted !== '' && last && this.environment.documents.get(uri)?.version === version) {
      const next = cursorText(document, position, { start: position, text: accepted }, budget.before, budget.after);
      this.ahead = new CompletionAhead({ uri, text: next }, (sink, until) =>
        this.generate(NO_REQUEST, document, next, performance.now(), settings, sink, until),
      );
    }
    return result;
  }

  private generate(
    requestId: number,
    { uri, languageId }: SourceDocument,
    text: CursorText,
    arrivedAt: number,
    settings: ServerSettings,
    sink: GenerationSink,
    signal: AbortSignal,
  ): Promise<GenerationResult> {
    const { engine, documents, workspaceTrusted } = this.environment;
    return engine.run('completion', signal, (session, either) => {
      const others = workspaceTrusted ? documents.others(uri) : [];
      const job = { requestId, uri, languageId, text, others, arrivedAt };
      return complete(job, session, this.lookup.of(session), settings, sink, either);
    });
  }
}

/** Cached lookup tokens hold for one loaded target: another may come to lie under its path. */
class LookupByTarget {
  private target: EngineSession['description'] | null = null;
  private context = new LookupContext();

  of({ description }: EngineSession): LookupContext {
    if (description !== this.target) {
      this.target = description;
      this.context = new LookupContext();
    }
    return this.context;
  }
}

/** One generation: engine passes in, released text and statistics out; stopped as soon as a filter ends the text. */
import type { FinishReason, GenerateOptions, GenerationStats, TelemetryParams } from '../../protocol/messages';
import type { DrafterName, ServerSettings } from '../../protocol/settings';
import type { EngineSession } from '../engine/client';
import type { TextFilter } from '../postprocess/filter';
import { GenerationRecorder } from './recorder';

export interface GenerationRequest {
  readonly requestId: number;
  readonly prompt: readonly number[];
  readonly lookup: readonly number[];
  /** Text after the place where it writes, for drafters that can look at it. */
  readonly suffix: readonly number[];
  readonly options: GenerateOptions;
  /** null passes the model's text on as it is. */
  readonly filter: TextFilter | null;
  /** performance.now() of the request's arrival. */
  readonly arrivedAt: number;
}

export interface GenerationSink {
  readonly block: (text: string) => void;
  readonly telemetry: (event: TelemetryParams) => void;
}

export interface GenerationResult {
  /** Exactly the blocks joined. */
  readonly text: string;
  readonly reason: FinishReason;
  /** Name of the rule that ended the text, or null. */
  readonly stop: string | null;
  readonly stats: GenerationStats;
}

/** Rejects as EngineSession.generate does; a cancelled one resolves with reason `cancelled`. */
export async function generate(
  request: GenerationRequest,
  engine: EngineSession,
  sink: GenerationSink,
  signal: AbortSignal,
): Promise<GenerationResult> {
  const { requestId, filter } = request;
  const recorder = new GenerationRecorder();
  const stopping = new AbortController();
  const progress: { text: string; stop: string | null; firstBlockMs: number | null } = {
    text: '',
    stop: null,
    firstBlockMs: null,
  };
  const release = (text: string): void => {
    if (text === '' || signal.aborted) return;
    progress.firstBlockMs ??= performance.now() - request.arrivedAt;
    progress.text += text;
    sink.block(text);
  };
  const { reason, plainPassMs } = await engine.generate(
    {
      prompt: request.prompt,
      lookup: request.lookup,
      suffix: request.suffix,
      options: request.options,
      onPrefilled: (event) => {
        recorder.prefilled(event);
        const { promptTokens, prefillTokens, prefillMs } = event;
        sink.telemetry({ event: 'prefilled', requestId, promptTokens, prefillTokens, prefillMs });
      },
      onVerified: (event) => {
        if (progress.stop !== null) return; // on its way when the text had ended
        const text = recorder.verified(event);
        sink.telemetry({ event: 'verified', requestId, pass: event.pass, tokens: event.tokens });
        if (filter === null) return release(text);
        const result = filter.push(text);
        release(result.release);
        if (result.stop === undefined) return;
        progress.stop = result.stop;
        stopping.abort();
      },
    },
    AbortSignal.any([signal, stopping.signal]),
  );
  if (filter !== null && progress.stop === null && reason !== 'cancelled') release(filter.end(reason));
  const { description } = engine;
  return {
    text: progress.text,
    reason,
    stop: progress.stop,
    stats: recorder.stats(filter === null ? null : progress.text, {
      firstBlockMs: progress.firstBlockMs,
      plainPassMs,
      target: description.target.name,
      drafter: request.options.drafter,
      backend: description.backend.name,
    }),
  };
}

export function generateOptions(settings: ServerSettings, maxTokens: number): GenerateOptions {
  const { drafter, draftLength, denoising, remember, sampling } = settings;
  return { drafter, draftLength, denoising, maxTokens, remember, sampling };
}

/** What a prompt without a token comes to. */
export function emptyResult({ description }: EngineSession, drafter: DrafterName): GenerationResult {
  const context = { firstBlockMs: null, plainPassMs: null, drafter };
  const stats = new GenerationRecorder().stats(null, {
    ...context,
    target: description.target.name,
    backend: description.backend.name,
  });
  return { text: '', reason: 'endOfText', stop: null, stats };
}

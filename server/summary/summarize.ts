/** One summary, from a selected text to released Markdown. */
import type { ServerSettings } from '../../protocol/settings';
import type { EngineSession } from '../engine/client';
import { generate, generateOptions, type GenerationResult, type GenerationSink } from '../generation/generate';
import { summaryFilters } from '../postprocess/summary-filters';
import { summaryPrompt } from '../prompt/summary';

export interface SummaryJob {
  readonly requestId: number;
  readonly languageId: string;
  /** The selected text. */
  readonly text: string;
  readonly arrivedAt: number;
}

export interface SummaryResult extends GenerationResult {
  readonly cut: { readonly usedLines: number; readonly selectedLines: number } | null;
  /** The limit of tokens ended the text. */
  readonly unfinished: boolean;
}

export async function summarize(
  job: SummaryJob,
  engine: EngineSession,
  settings: ServerSettings,
  sink: GenerationSink,
  signal: AbortSignal,
): Promise<SummaryResult> {
  const text = job.text.replaceAll('\r\n', '\n').trimEnd();
  const prompt = await summaryPrompt(text, job.languageId, settings.summaryContextTokens, engine);
  const result = await generate(
    {
      requestId: job.requestId,
      prompt: prompt.tokens,
      lookup: [],
      suffix: [],
      options: generateOptions(settings, settings.summaryMaxTokens),
      filter: summaryFilters(),
      arrivedAt: job.arrivedAt,
    },
    engine,
    sink,
    signal,
  );
  const { usedLines, selectedLines } = prompt;
  const limited = result.reason === 'maxTokens' || result.reason === 'contextFull';
  return {
    ...result,
    cut: usedLines < selectedLines ? { usedLines, selectedLines } : null,
    unfinished: limited && result.stop === null,
  };
}

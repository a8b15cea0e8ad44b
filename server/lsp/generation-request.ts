/** What completions and summaries share as requests: telemetry around them, and how their ends are answered. */
import type { CompleteResult, GenerationKind, TelemetryParams } from '../../protocol/messages';
import { isAbortError } from '../abort';
import type { GenerationResult, GenerationSink } from '../generation/generate';
import type { LogLevel } from '../engine/child';

export interface RequestOutput {
  readonly block: (requestId: number, text: string) => void;
  readonly telemetry: (event: TelemetryParams) => void;
  readonly log: (level: LogLevel, text: string) => void;
}

/** Runs a generation and answers in every case; `text` is exactly the blocks joined. */
export async function answer<Result extends GenerationResult>(
  requestId: number,
  kind: GenerationKind,
  output: RequestOutput,
  run: (sink: GenerationSink) => Promise<Result>,
): Promise<{ readonly answer: CompleteResult; readonly result: Result | null }> {
  let text = '';
  const sink: GenerationSink = {
    block: (more) => {
      text += more;
      output.block(requestId, more);
    },
    telemetry: output.telemetry,
  };
  output.telemetry({ event: 'started', requestId, kind });
  const finish = (answer: CompleteResult, result: Result | null): { answer: CompleteResult; result: Result | null } => {
    output.telemetry({ event: 'finished', requestId, outcome: answer.outcome, stats: answer.stats });
    return { answer, result };
  };
  try {
    const result = await run(sink);
    const cancelled = result.reason === 'cancelled' && result.stop === null;
    return finish({ outcome: cancelled ? 'cancelled' : 'done', text, stats: result.stats }, result);
  } catch (error) {
    if (isAbortError(error)) return finish({ outcome: 'cancelled', text, stats: null }, null);
    const message = error instanceof Error ? error.message : String(error);
    output.log('error', message);
    return finish({ outcome: 'failed', text, stats: null, message }, null);
  }
}

/** One prompt on one engine: as the product completes it, or the target's bare text without stop rules. */
import type { TelemetryParams, VerificationStats } from '../../protocol/messages';
import { isDecoding } from '../../protocol/passes';
import type { ServerSettings } from '../../protocol/settings';
import { complete } from '../../server/completion/complete';
import { LookupContext } from '../../server/context/lookup';
import type { EngineClient, EngineSession } from '../../server/engine/client';
import {
  generate,
  generateOptions,
  type GenerationResult,
  type GenerationSink,
} from '../../server/generation/generate';
import { summarize } from '../../server/summary/summarize';
import type { BenchPrompt } from './prompts';
import type { Sample } from './sample';

/** What the engine is asked for a prompt: tokens, so that every arm and every peer starts from the same. */
export interface RawPrompt {
  readonly tokens: readonly number[];
  readonly lookup: readonly number[];
  readonly suffix: readonly number[];
  readonly maxTokens: number;
}

const SILENT: GenerationSink = { block: () => {}, telemetry: () => {} };

/** The product's way: its prompt, its stop rules. */
export async function runWithStopRules(
  prompt: BenchPrompt,
  engine: EngineClient,
  settings: ServerSettings,
  signal: AbortSignal,
): Promise<Sample> {
  const recorder = new SampleRecorder();
  const kind = prompt.kind === 'summary' ? 'summary' : 'completion';
  const result = await engine.run(kind, signal, (session, either) =>
    ask(prompt, session, settings, recorder.sink, either),
  );
  return recorder.sample(result);
}

/** The same prompt without stop rules: up to the limit of tokens or the model's end of text. */
export async function runRaw(
  raw: RawPrompt,
  engine: EngineClient,
  settings: ServerSettings,
  signal: AbortSignal,
): Promise<Sample> {
  const recorder = new SampleRecorder();
  const request = {
    requestId: 1,
    prompt: raw.tokens,
    lookup: raw.lookup,
    suffix: raw.suffix,
    options: generateOptions(settings, raw.maxTokens),
    filter: null,
    arrivedAt: performance.now(),
  };
  const result = await engine.run('completion', signal, (session, either) =>
    generate(request, session, recorder.sink, either),
  );
  return recorder.sample(result);
}

/** What the product would ask the engine, without asking. */
export async function rawPrompt(
  prompt: BenchPrompt,
  engine: EngineClient,
  settings: ServerSettings,
  signal: AbortSignal,
): Promise<RawPrompt> {
  const asked: RawPrompt[] = [];
  const kind = prompt.kind === 'summary' ? 'summary' : 'completion';
  await engine.run(kind, signal, (session, either) => {
    const listening: EngineSession = {
      ...session,
      generate: (job) => {
        asked.push({ tokens: job.prompt, lookup: job.lookup, suffix: job.suffix, maxTokens: job.options.maxTokens });
        return Promise.resolve({ reason: 'endOfText', plainPassMs: null });
      },
    };
    return ask(prompt, listening, settings, SILENT, either);
  });
  const [raw] = asked;
  if (raw === undefined) throw new Error(`The prompt ${prompt.id} holds no token.`);
  return raw;
}

function ask(
  prompt: BenchPrompt,
  session: EngineSession,
  settings: ServerSettings,
  sink: GenerationSink,
  signal: AbortSignal,
): Promise<GenerationResult> {
  const { before, after } = prompt;
  const arrivedAt = performance.now();
  if (prompt.kind === 'summary') {
    const job = { requestId: 1, languageId: prompt.language, text: before, arrivedAt };
    return summarize(job, session, settings, sink, signal);
  }
  const languageId = prompt.kind === 'prose' ? 'markdown' : prompt.language;
  const text = { before, after, line: before.split('\n').length - 1, whole: true, crlf: false };
  const job = { requestId: 1, uri: `file:///heldout/${prompt.id}`, languageId, text, others: [], arrivedAt };
  return complete(job, session, new LookupContext(), settings, sink, signal);
}

interface HeardPass {
  readonly at: number;
  readonly pass: VerificationStats;
}

/** Listens to the passes of one generation; a second try of the product (without healing) starts afresh. */
export class SampleRecorder {
  private passes: HeardPass[] = [];

  readonly sink: GenerationSink = { block: () => {}, telemetry: (event) => this.hear(event) };

  /** Over the passes that the statistics count: those up to the kept text's end. */
  sample({ text, stats }: Pick<GenerationResult, 'text' | 'stats'>): Sample {
    const kept = this.passes.slice(0, stats.verifications);
    const decodes = kept.some(({ pass }) => isDecoding(pass));
    const tested: number[] = [];
    const passed: number[] = [];
    for (const { drafted, accepted } of kept.map(({ pass }) => pass)) {
      for (let position = 0; position < Math.min(drafted, accepted + 1); position++) {
        tested[position] = (tested[position] ?? 0) + 1;
        passed[position] = (passed[position] ?? 0) + (position < accepted ? 1 : 0);
      }
    }
    return {
      text,
      tokens: stats.tokens,
      verifications: stats.verifications,
      decodedTokens: Math.round((stats.tokensPerSecond * (stats.draftMs + stats.verifyMs)) / 1000),
      decodingMs: decodes ? (kept.at(-1)?.at ?? 0) - (kept[0]?.at ?? 0) : 0,
      draftMs: stats.draftMs,
      verifyMs: stats.verifyMs,
      drafted: kept.reduce((sum, { pass }) => sum + pass.drafted, 0),
      accepted: kept.reduce((sum, { pass }) => sum + pass.accepted, 0),
      tested,
      passed,
    };
  }

  private hear(event: TelemetryParams): void {
    if (event.event === 'prefilled') this.passes = [];
    if (event.event === 'verified') this.passes.push({ at: performance.now(), pass: event.pass });
  }
}

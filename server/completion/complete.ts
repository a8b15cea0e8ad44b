/** One completion, from a cursor in a document to released text. */
import type { ServerSettings } from '../../protocol/settings';
import { looksBinary } from '../context/binary';
import type { LookupContext, LookupSource } from '../context/lookup';
import { isSecretFile } from '../context/secrets';
import type { EngineSession } from '../engine/client';
import {
  emptyResult,
  generate,
  generateOptions,
  type GenerationResult,
  type GenerationSink,
} from '../generation/generate';
import { completionFilters } from '../postprocess/completion-filters';
import { HEALING_FAILED } from '../postprocess/healed-start';
import { completionPrompt } from '../prompt/completion';
import { characterLimit } from '../prompt/tokenizer';
import type { CursorText } from './source';

/** Tokens after the cursor that a drafter looks at (native/core/standalone_drafter.cpp). */
const SUFFIX_WINDOW = 32;

export interface CompletionJob {
  readonly requestId: number;
  readonly uri: string;
  readonly languageId: string;
  readonly text: CursorText;
  /** Other open files, newest last; empty in an untrusted workspace. */
  readonly others: readonly LookupSource[];
  readonly arrivedAt: number;
}

/** Why this text is not completed, in one sentence, or null. */
export function refusal(uri: string, before: string, after: string): string | null {
  if (isSecretFile(uri)) return 'SpecDiff does not read or complete files that usually hold secrets.';
  if (looksBinary(before) || looksBinary(after))
    return 'This looks like a binary file, which SpecDiff does not complete.';
  return null;
}

/** Characters around the cursor that the budgets can use. */
export function cursorBudget(settings: ServerSettings): { before: number; after: number } {
  return {
    before: characterLimit(settings.contextTokens),
    after: characterLimit(Math.max(settings.suffixTokens, 128)),
  };
}

export async function complete(
  job: CompletionJob,
  engine: EngineSession,
  lookup: LookupContext,
  settings: ServerSettings,
  sink: GenerationSink,
  signal: AbortSignal,
): Promise<GenerationResult> {
  const healed = await attempt(job, true, engine, lookup, settings, sink, signal);
  if (healed.stop !== HEALING_FAILED) return healed;
  // The model wants no space there; nothing was shown, and all but the last token is in the engine's cache.
  return attempt(job, false, engine, lookup, settings, sink, signal);
}

/** The beginning of the text after the cursor, where the drafter can look at it: a drafter that denoises can. */
async function visibleSuffix(
  after: string,
  engine: EngineSession,
  { drafter, suffixTokens }: ServerSettings,
): Promise<readonly number[]> {
  const kind = engine.description.drafter?.kind;
  const denoises = kind === 'sedd' || kind === 'mdlm';
  if (!denoises || (drafter !== 'auto' && drafter !== kind) || after.trim() === '') return [];
  const budget = Math.min(suffixTokens, SUFFIX_WINDOW);
  const [tokens = []] = await engine.tokenize([after.slice(0, characterLimit(budget))], {
    addBos: false,
    parseSpecial: false,
  });
  return tokens.slice(0, budget);
}

async function attempt(
  job: CompletionJob,
  heal: boolean,
  engine: EngineSession,
  lookup: LookupContext,
  settings: ServerSettings,
  sink: GenerationSink,
  signal: AbortSignal,
): Promise<GenerationResult> {
  const { before, after, line, whole, crlf } = job.text;
  const prompt = await completionPrompt(
    { before: { text: before, line, whole }, after, budget: settings, heal },
    engine,
  );
  // Nothing to go on from: a model without a beginning-of-text token cannot start.
  if (prompt.tokens.length === 0) return emptyResult(engine, settings.drafter);
  // Text after the cursor that is not in the prompt may be copied from, too.
  const own = engine.fim === null ? [{ uri: job.uri, text: after }] : [];
  const lookupTokens =
    settings.drafter === 'none'
      ? []
      : await lookup.tokens([...job.others, ...own], (texts) =>
          engine.tokenize(texts, { addBos: false, parseSpecial: false }),
        );
  return generate(
    {
      requestId: job.requestId,
      prompt: prompt.tokens,
      lookup: lookupTokens,
      suffix: await visibleSuffix(after, engine, settings),
      options: generateOptions(settings, settings.maxTokens),
      filter: completionFilters({ before, after, languageId: job.languageId, crlf, healed: prompt.healed }),
      arrivedAt: job.arrivedAt,
    },
    engine,
    sink,
    signal,
  );
}

/**
 * The target's answers as the product would let it write them: requests in (request.ts), answers out, one JSON object a
 * line each. Prompts, lookup texts and stop rules are the server's own; many generations run at once. A request with
 * recorded tokens is answered by these, up to where the rules end them, and tells no prompt; with an empty list of them,
 * it tells the prompt alone.
 *
 * Usage: node answers.js --target FILE --native FOLDER [--program FILE --sequences N --threads N --context N]
 * Without --program every request has to bring its tokens.
 */
import path from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { DEFAULT_SETTINGS, type ServerSettings } from '../../protocol/settings';
import { complete } from '../../server/completion/complete';
import { LookupContext } from '../../server/context/lookup';
import type { NativeEngine } from '../../server/engine/addon';
import { loadAddon } from '../../server/engine/load-addon';
import type { GenerationResult } from '../../server/generation/generate';
import { summarize } from '../../server/summary/summarize';
import { BatchProgram } from './batch-program';
import { BatchSession, type Transcript } from './batch-session';
import { RecordedAnswer } from './recorded-answer';
import { ReplaySession } from './replay-session';
import { readRequest, type AnswerRequest } from './request';

/** Of a document without a token before the cursor, which the product completes with nothing. */
const NOTHING: Transcript = { prompt: [], lookup: [], answer: [], maxTokens: 0 };

/** Nobody watches. */
const SINK = { block: () => {}, telemetry: () => {} };

function readOptions() {
  const { values } = parseArgs({
    options: {
      target: { type: 'string', default: '' },
      native: { type: 'string', default: '' },
      program: { type: 'string', default: '' },
      sequences: { type: 'string', default: '24' },
      threads: { type: 'string', default: '0' },
      context: { type: 'string', default: '1024' },
    },
  });
  return values;
}

function run(request: AnswerRequest, session: BatchSession): Promise<GenerationResult> {
  const { server } = DEFAULT_SETTINGS;
  const settings: ServerSettings = {
    ...server,
    contextTokens: request.contextTokens,
    summaryContextTokens: Math.min(request.contextTokens, server.summaryContextTokens),
    drafter: 'ngram',
    sampling: { ...server.sampling, temperature: request.temperature, seed: request.seed },
  };
  const { signal } = new AbortController();
  const { before, after, languageId } = request;
  if (request.kind === 'summary') {
    return summarize({ requestId: 0, languageId, text: before, arrivedAt: 0 }, session, settings, SINK, signal);
  }
  const text = { before, after, line: request.line, whole: request.whole, crlf: false };
  const job = { requestId: 0, uri: 'file:///document', languageId, text, others: [], arrivedAt: 0 };
  return complete(job, session, new LookupContext(), settings, SINK, signal);
}

function sessionFor(request: AnswerRequest, engine: NativeEngine, program: BatchProgram | null): BatchSession {
  const { id, recorded } = request;
  if (recorded !== null && recorded.length > 0) return new ReplaySession(engine, recorded);
  if (recorded !== null) return new BatchSession(engine, new RecordedAnswer(recorded));
  if (program === null) throw new Error(`Request ${id} brings no tokens, and there is no --program to write them.`);
  return new BatchSession(engine, program);
}

async function loadTokenizer(target: string, native: string): Promise<NativeEngine> {
  const nativeDirectory = path.resolve(native);
  const addon = loadAddon(nativeDirectory);
  addon.initialize({ nativeDirectory, backendDirectories: [], cpuLibrary: null, backend: 'cpu', onLog: () => {} });
  const files = { targetPath: path.resolve(target), drafterPath: null, learned: null };
  return addon.load({ ...files, threads: 1, contextTokens: 64, treeNodes: 0 });
}

async function main(): Promise<void> {
  const options = readOptions();
  const engine = await loadTokenizer(options.target, options.native);
  const { target, native, sequences, threads, context } = options;
  const program =
    options.program === ''
      ? null
      : new BatchProgram(options.program, [
          ...['--target', target, '--native', native, '--sequences', sequences],
          ...['--threads', threads, '--context', context],
        ]);
  /** Requests begun and not answered: twice the sequences, so that none ever waits for a prompt. */
  const room = 2 * Number(sequences);
  const begun = new Set<Promise<void>>();
  let failure: unknown = null;
  for await (const line of createInterface({ input: process.stdin })) {
    const request = readRequest(line);
    const session = sessionFor(request, engine, program);
    const job = run(request, session)
      .then(({ reason, stop }) => {
        const transcript = session.transcript ?? NOTHING;
        const told = session instanceof ReplaySession ? { answer: transcript.answer } : transcript;
        process.stdout.write(`${JSON.stringify({ id: request.id, reason, stop, ...told })}\n`);
      })
      .catch((error: unknown) => {
        failure ??= error;
      })
      .finally(() => begun.delete(job));
    begun.add(job);
    if (begun.size >= room) await Promise.race(begun);
    if (failure !== null) break;
  }
  await Promise.all(begun);
  program?.close();
  await engine.dispose();
  if (failure !== null) throw failure instanceof Error ? failure : new Error('An answer failed.');
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});

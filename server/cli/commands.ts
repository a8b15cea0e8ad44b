/** The CLI's commands: each prints to its output and rejects with one clear sentence. */
import { readFile } from 'node:fs/promises';
import { complete, cursorBudget, refusal } from '../completion/complete';
import { cursorText } from '../completion/source';
import { LookupContext } from '../context/lookup';
import { generate, generateOptions } from '../generation/generate';
import { defaultTarget } from '../models/catalogue';
import { fetchModel } from '../models/fetch';
import { summarize } from '../summary/summarize';
import type { CliArgs } from './args';
import { createCliEngine, extensionRoot } from './engine';
import { readFileDocument } from './file-document';
import type { CliOutput } from './output';

type Args<Command extends CliArgs['command']> = Extract<CliArgs, { command: Command }>;

export async function completeCommand(args: Args<'complete'>, output: CliOutput, signal: AbortSignal): Promise<void> {
  const arrivedAt = performance.now();
  const document = await readFileDocument(args.at.file);
  if (args.at.line >= document.lineCount) {
    throw new Error(`${args.at.file} has ${document.lineCount} lines; line ${args.at.line + 1} is not among them.`);
  }
  const budget = cursorBudget(args.settings);
  const text = cursorText(document, args.at, null, budget.before, budget.after);
  const refused = refusal(document.uri, text.before, text.after);
  if (refused !== null) throw new Error(refused);
  const engine = createCliEngine(args, args.settings);
  try {
    const { uri, languageId } = document;
    const job = { requestId: 1, uri, languageId, text, others: [], arrivedAt };
    const result = await engine.run('completion', signal, (session, either) =>
      complete(job, session, new LookupContext(), args.settings, output, either),
    );
    output.done(result);
  } finally {
    await engine.dispose();
  }
}

export async function completePromptCommand(
  args: Args<'completePrompt'>,
  output: CliOutput,
  signal: AbortSignal,
): Promise<void> {
  const arrivedAt = performance.now();
  const prompt = await readFile(args.promptFile, 'utf8').catch((error: unknown) => {
    throw new Error(
      `${args.promptFile} could not be read (${error instanceof Error ? error.message : String(error)}).`,
    );
  });
  // Its tokens are not known before the model is loaded; two characters a token leaves room for all but odd text.
  const settings = { ...args.settings, contextTokens: Math.ceil(prompt.length / 2) };
  const engine = createCliEngine(args, settings);
  try {
    const result = await engine.run('completion', signal, async (session, either) => {
      const [tokens = []] = await session.tokenize([prompt], { addBos: true, parseSpecial: false });
      const options = generateOptions(settings, settings.maxTokens);
      return generate(
        { requestId: 1, prompt: tokens, lookup: [], suffix: [], options, filter: null, arrivedAt },
        session,
        output,
        either,
      );
    });
    output.done(result);
  } finally {
    await engine.dispose();
  }
}

export async function summarizeCommand(args: Args<'summarize'>, output: CliOutput, signal: AbortSignal): Promise<void> {
  const arrivedAt = performance.now();
  const document = await readFileDocument(args.file);
  const { lines } = args;
  if (lines !== null && lines.to >= document.lineCount) {
    throw new Error(`${args.file} has ${document.lineCount} lines; line ${lines.to + 1} is not among them.`);
  }
  const text =
    lines === null
      ? document.getText()
      : document.getText({ start: { line: lines.from, character: 0 }, end: { line: lines.to + 1, character: 0 } });
  const refused = refusal(document.uri, text.slice(0, 100_000), '');
  if (refused !== null) throw new Error(refused);
  if (text.trim() === '') throw new Error('There is no text to summarize.');
  const engine = createCliEngine(args, args.settings);
  try {
    const job = { requestId: 1, languageId: document.languageId, text, arrivedAt };
    const result = await engine.run('summary', signal, (session, either) =>
      summarize(job, session, args.settings, output, either),
    );
    if (result.cut !== null) {
      const { usedLines, selectedLines } = result.cut;
      process.stderr.write(
        `Summarized the first ${usedLines} of ${selectedLines} lines: more does not fit the budget.\n`,
      );
    }
    if (result.unfinished) {
      process.stderr.write('The summary ends at the limit of tokens: raise --max-tokens for a longer one.\n');
    }
    const cut = result.cut === null ? {} : { cut: result.cut };
    output.done(result, result.unfinished ? { ...cut, unfinished: true } : cut);
  } finally {
    await engine.dispose();
  }
}

export async function fetchModelCommand(args: Args<'fetchModel'>, signal: AbortSignal): Promise<void> {
  const entry = defaultTarget();
  const terminal = process.stderr.isTTY;
  let shown = -1;
  const onPercent = (percent: number): void => {
    if (!terminal && percent < 100 && percent < shown + 10) return;
    shown = percent;
    process.stderr.write(
      terminal ? `\rFetching ${entry.name}: ${percent} %` : `Fetching ${entry.name}: ${percent} %\n`,
    );
  };
  const outcome = await fetchModel(entry, extensionRoot(args), onPercent, signal);
  if (terminal && outcome === 'fetched') process.stderr.write('\n');
  const what = outcome === 'present' ? 'is there and right' : 'fetched and checked';
  process.stdout.write(`The default model ${entry.name} (${entry.licence}) ${what}.\n`);
}

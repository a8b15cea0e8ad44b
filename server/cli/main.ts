/** Entry point of the command line: reads the arguments, runs the command, sets the exit code. */
import { parseCliArgs, USAGE, UsageError, type CliArgs } from './args';
import { completeCommand, completePromptCommand, fetchModelCommand, summarizeCommand } from './commands';
import { CliOutput } from './output';

async function run(args: CliArgs, signal: AbortSignal): Promise<void> {
  if (args.command === 'help') {
    process.stdout.write(USAGE);
    return;
  }
  const output = new CliOutput(args.json, (text) => process.stdout.write(text));
  switch (args.command) {
    case 'complete':
      return completeCommand(args, output, signal);
    case 'completePrompt':
      return completePromptCommand(args, output, signal);
    case 'summarize':
      return summarizeCommand(args, output, signal);
    case 'fetchModel':
      return fetchModelCommand(args, signal);
  }
}

async function main(): Promise<void> {
  const interrupted = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interrupted.abort());
  // A reader that has seen enough (`| head`) is no error.
  process.stdout.on('error', () => interrupted.abort());
  try {
    await run(parseCliArgs(process.argv.slice(2)), interrupted.signal);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (error instanceof UsageError) {
      process.stderr.write(`${message}\n\n${USAGE}`);
      process.exitCode = 2;
    } else {
      process.stderr.write(`${interrupted.signal.aborted ? 'Interrupted.' : message}\n`);
      process.exitCode = interrupted.signal.aborted ? 130 : 1;
    }
  }
}

void main();

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
  const unwritten: Error[] = [];
  process.stdout.on('error', (error: Error) => {
    // A reader that has seen enough (`| head`) is no error.
    if (!('code' in error && error.code === 'EPIPE')) unwritten.push(error);
    interrupted.abort();
  });
  try {
    await run(parseCliArgs(process.argv.slice(2)), interrupted.signal);
    // What was written last has failed by now, if it does.
    await new Promise((resolve) => process.stdout.write('', resolve));
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (error instanceof UsageError) {
      process.stderr.write(`${message}\n\n${USAGE}`);
      process.exitCode = 2;
    } else if (unwritten.length === 0) {
      process.stderr.write(`${interrupted.signal.aborted ? 'Interrupted.' : message}\n`);
      process.exitCode = interrupted.signal.aborted ? 130 : 1;
    }
  }
  if (unwritten[0] !== undefined) {
    process.stderr.write(
      `The output could not be written (${unwritten[0].message}); see to the disk, then try again.\n`,
    );
    process.exitCode = 1;
  }
}

void main();

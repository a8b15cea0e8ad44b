/** The command line, read into one typed value; wrong arguments are told with the usage. */
import { parseArgs } from 'node:util';
import {
  BACKENDS,
  DEFAULT_SETTINGS,
  DENOISING_SAMPLERS,
  DRAFTERS,
  KERNELS,
  type ServerSettings,
} from '../../protocol/settings';
import { MOST_DENOISING_STEPS } from '../settings';

export const USAGE = `Usage:
  complete FILE:LINE:COLUMN [options]   completes at the cursor (line and column count from 1)
  complete --prompt-file FILE [options] completes a raw prompt: no document logic, no stop rules, no post-processing
  summarize FILE[:FROM-TO] [options]    summarizes a file or its lines FROM to TO, as Markdown
  fetch-model                           fetches the default target into models/cache/

Options:
  --json                     one JSON object a line: blocks as they come, last the whole with its figures
  --drafter NAME             ${DRAFTERS.join(', ')}
  --draft-length N           drafted tokens a pass (also --gamma); 0 lets the controller choose
  --denoising-steps N        of sedd and mdlm, to ${MOST_DENOISING_STEPS}; 0 (automatic): what pays best
  --denoising-sampler NAME   ${DENOISING_SAMPLERS.join(', ')}
  --hot-start on|off         whether a draft starts from what was rejected of the last one (sedd, mdlm)
  --max-tokens N             most tokens to generate
  --temperature X            0 is greedy
  --top-k N   --top-p X   --min-p X   --repetition-penalty X   --seed N
  --target FILE              GGUF file of the target
  --drafter-model FILE       GGUF file of the drafter
  --threads N                0 chooses the physical cores
  --backend NAME             ${BACKENDS.join(', ')}
  --kernels NAME             ${KERNELS.join(', ')}: our CPU kernels where they run, or llama.cpp's own
  --extension-root DIR       folder that holds dist/ and models/
  --storage DIR              folder for imported models and probe verdicts
`;

export class UsageError extends Error {}

export interface FilePosition {
  readonly file: string;
  /** From 0. */
  readonly line: number;
  readonly character: number;
}

export interface CommonArgs {
  readonly json: boolean;
  readonly settings: ServerSettings;
  readonly extensionRoot: string | null;
  readonly storageDirectory: string | null;
}

export type CliArgs =
  | (CommonArgs & { readonly command: 'complete'; readonly at: FilePosition })
  | (CommonArgs & { readonly command: 'completePrompt'; readonly promptFile: string })
  | (CommonArgs & {
      readonly command: 'summarize';
      readonly file: string;
      /** From 0, the last one included. */
      readonly lines: { readonly from: number; readonly to: number } | null;
    })
  | (CommonArgs & { readonly command: 'fetchModel' })
  | { readonly command: 'help' };

const STRING = { type: 'string' } as const;
const BOOLEAN = { type: 'boolean' } as const;

export function parseCliArgs(argv: readonly string[]): CliArgs {
  const { values, positionals } = parse(argv);
  if (values.help === true || positionals[0] === 'help') return { command: 'help' };
  const [command, place, ...rest] = positionals;
  if (rest.length > 0) throw new UsageError(`Unexpected argument "${rest.join(' ')}".`);
  const defaults = DEFAULT_SETTINGS.server;
  const number = (name: keyof typeof values, least: number, most: number, whole: boolean): number | undefined => {
    const text = values[name];
    if (typeof text !== 'string') return undefined;
    const value = text.trim() === '' ? Number.NaN : Number(text);
    if (!(value >= least && value <= most) || (whole && !Number.isInteger(value))) {
      throw new UsageError(
        `--${name} must be ${whole ? 'a whole number' : 'a number'} from ${least} to ${most}, not "${text}".`,
      );
    }
    return value;
  };
  const maxTokens = number('max-tokens', 1, 8192, true);
  const common: CommonArgs = {
    json: values.json ?? false,
    extensionRoot: values['extension-root'] ?? null,
    storageDirectory: values.storage ?? null,
    settings: {
      ...defaults,
      drafter: oneOf('drafter', values.drafter, DRAFTERS, defaults.drafter),
      backend: oneOf('backend', values.backend, BACKENDS, defaults.backend),
      kernels: oneOf('kernels', values.kernels, KERNELS, defaults.kernels),
      draftLength: number('draft-length', 0, 64, true) ?? number('gamma', 0, 64, true) ?? defaults.draftLength,
      denoising: {
        steps: number('denoising-steps', 0, MOST_DENOISING_STEPS, true) ?? defaults.denoising.steps,
        sampler: oneOf(
          'denoising-sampler',
          values['denoising-sampler'],
          DENOISING_SAMPLERS,
          defaults.denoising.sampler,
        ),
        hotStart:
          oneOf('hot-start', values['hot-start'], ['on', 'off'], defaults.denoising.hotStart ? 'on' : 'off') === 'on',
      },
      maxTokens: maxTokens ?? defaults.maxTokens,
      summaryMaxTokens: maxTokens ?? defaults.summaryMaxTokens,
      threads: number('threads', 0, 256, true) ?? defaults.threads,
      targetPath: values.target ?? defaults.targetPath,
      drafterPath: values['drafter-model'] ?? defaults.drafterPath,
      sampling: {
        temperature: number('temperature', 0, 10, false) ?? defaults.sampling.temperature,
        topK: number('top-k', 0, 1_000_000, true) ?? defaults.sampling.topK,
        topP: number('top-p', 0, 1, false) ?? defaults.sampling.topP,
        minP: number('min-p', 0, 1, false) ?? defaults.sampling.minP,
        repetitionPenalty: number('repetition-penalty', 0.01, 10, false) ?? defaults.sampling.repetitionPenalty,
        seed: number('seed', 0, 0xffffffff, true) ?? defaults.sampling.seed,
      },
    },
  };
  switch (command) {
    case 'complete': {
      const promptFile = values['prompt-file'];
      if (promptFile !== undefined) {
        if (place !== undefined) throw new UsageError('--prompt-file stands in place of FILE:LINE:COLUMN.');
        return { ...common, command: 'completePrompt', promptFile };
      }
      if (place === undefined) throw new UsageError('complete needs FILE:LINE:COLUMN.');
      return { ...common, command: 'complete', at: filePosition(place) };
    }
    case 'summarize':
      if (place === undefined) throw new UsageError('summarize needs FILE or FILE:FROM-TO.');
      return { ...common, command: 'summarize', ...fileLines(place) };
    case 'fetch-model':
      return { ...common, command: 'fetchModel' };
    case undefined:
      throw new UsageError('Name a command.');
    default:
      throw new UsageError(`Unknown command "${command}".`);
  }
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        help: { ...BOOLEAN, short: 'h' },
        json: BOOLEAN,
        drafter: STRING,
        'draft-length': STRING,
        gamma: STRING,
        'denoising-steps': STRING,
        'denoising-sampler': STRING,
        'hot-start': STRING,
        'max-tokens': STRING,
        temperature: STRING,
        'top-k': STRING,
        'top-p': STRING,
        'min-p': STRING,
        'repetition-penalty': STRING,
        seed: STRING,
        target: STRING,
        'drafter-model': STRING,
        threads: STRING,
        backend: STRING,
        kernels: STRING,
        'prompt-file': STRING,
        'extension-root': STRING,
        storage: STRING,
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function filePosition(text: string): FilePosition {
  const match = /^(.+):(\d+):(\d+)$/.exec(text);
  const [, file, line, column] = match ?? [];
  if (file === undefined || Number(line) < 1 || Number(column) < 1) {
    throw new UsageError(`"${text}" is not FILE:LINE:COLUMN, both counted from 1.`);
  }
  return { file, line: Number(line) - 1, character: Number(column) - 1 };
}

function fileLines(text: string): { file: string; lines: { from: number; to: number } | null } {
  const match = /^(.+):(\d+)-(\d+)$/.exec(text);
  const [, file, from, to] = match ?? [];
  if (file === undefined) return { file: text, lines: null };
  if (Number(from) < 1 || Number(to) < Number(from)) {
    throw new UsageError(`"${text}" is not FILE:FROM-TO, lines counted from 1.`);
  }
  return { file, lines: { from: Number(from) - 1, to: Number(to) - 1 } };
}

function oneOf<T extends string>(name: string, value: string | undefined, choices: readonly T[], otherwise: T): T {
  if (value === undefined) return otherwise;
  const found = choices.find((choice) => choice === value);
  if (found === undefined) throw new UsageError(`--${name} must be one of ${choices.join(', ')}, not "${value}".`);
  return found;
}

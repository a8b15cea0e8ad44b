/** `--peer NAME=PATH[:ARGS]`: a server that answers as llama.cpp's does, in one mode. */

export interface PeerMode {
  readonly name: string;
  /** The server's program; modes of one program are compared with its own plain decoding. */
  readonly program: string;
  readonly args: readonly string[];
  /** Name of the mode of the same program without arguments. */
  readonly plain: string;
}

/**
 * Plain decoding is added for a program that is named with arguments only.
 * @throws one sentence about what is wrong with an option
 */
export function readPeers(options: readonly string[]): PeerMode[] {
  const named = options.map(parsePeer);
  const plainNames = new Map<string, string>();
  for (const { name, program, args } of named) if (args.length === 0) plainNames.set(program, name);
  const modes: PeerMode[] = [];
  for (const { name, program, args } of named) {
    let plain = plainNames.get(program);
    if (plain === undefined) {
      plain = `${name}, plain`;
      plainNames.set(program, plain);
      modes.push({ name: plain, program, args: [], plain });
    }
    modes.push({ name, program, args, plain });
  }
  const twice = modes.find(({ name }, index) => modes.findIndex((other) => other.name === name) !== index);
  if (twice !== undefined) throw new Error(`Two peers are named "${twice.name}": give each --peer a name of its own.`);
  return modes;
}

function parsePeer(option: string): Omit<PeerMode, 'plain'> {
  const equals = option.indexOf('=');
  const name = option.slice(0, Math.max(0, equals)).trim();
  const rest = option.slice(equals + 1);
  // A drive's letter and colon are part of the path.
  const colon = rest.indexOf(':', /^[a-z]:[\\/]/i.test(rest) ? 2 : 0);
  const program = (colon < 0 ? rest : rest.slice(0, colon)).trim();
  if (name === '' || program === '')
    throw new Error(
      `--peer ${option}: write NAME=PATH or NAME=PATH:ARGS, for example "ik=/opt/llama-server:--spec-type suffix".`,
    );
  return { name, program, args: colon < 0 ? [] : splitArguments(rest.slice(colon + 1)) };
}

/** At blanks, those between double quotes excepted. */
function splitArguments(text: string): string[] {
  return [...text.matchAll(/(?:[^\s"]|"[^"]*")+/g)].map(([word]) => word.replaceAll('"', ''));
}

/**
 * Everything that a change can move: the drafters on all prompt sets, with and without stop rules, greedy and sampled,
 * each in an engine of its own, and beside them other programs' servers on the same files, prompts and threads. One prompt
 * is measured with every arm, in turning order, then the next.
 *
 * Usage: npm run bench -- --full [--set code,edit,prose,summary|all --prompts N (of each set) --rounds N --threads N
 *          --temperatures 0,1 --stop-rules on,off --arms none,ngram,diffusion,joint,auto,remembering,causal
 *          --drafter-model FILE --causal FILE --peer NAME=PATH[:ARGS] … --keep-learned --resume --json FILE]
 * `remembering` is `auto` that also drafts from what it wrote for the prompts before, as the product does; a prompt must come once
 * then; `causal` drafts with a file of its own. The samples go to build/bench/full.jsonl as they are taken; --resume goes on from there. The plots lie beside the JSON.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { DEFAULT_SETTINGS, type DrafterName, type ServerSettings } from '../../protocol/settings';
import { resolveModels } from '../../server/models/resolve';
import { busyNeighbours, machine, machineSlug } from '../machine';
import { createArmEngine, residentBytes, storageDirectory, type ArmEngine } from './arm-engine';
import { readPeers } from './peer-option';
import { PeerServer } from './peer-server';
import { readPrompts, readSet, spread, type BenchPrompt } from './prompts';
import { RecordFile, type Case, type SampleRecord } from './records';
import { markdown, plots, summarizeRecords, type ReportArm } from './report';
import { rawPrompt, runRaw, runWithStopRules, type RawPrompt } from './run';
import type { Sample } from './sample';

const DRAFTERS = ['none', 'ngram', 'diffusion', 'joint', 'auto'] as const satisfies readonly DrafterName[];
/** `auto` with the setting `remember`. */
const REMEMBERING = 'remembering';
/** Standard speculative decoding, with the drafter of `--causal`. */
const CAUSAL = 'causal' satisfies DrafterName;
type ArmName = (typeof DRAFTERS)[number] | typeof REMEMBERING | typeof CAUSAL;
const ARMS: readonly ArmName[] = [...DRAFTERS, REMEMBERING, CAUSAL];
const PEER_CONTEXT_TOKENS = 2048;

interface Arm extends ReportArm {
  /** @param limit most tokens of a peer, which has no stop rules: as many as plain decoding kept */
  readonly run: (prompt: BenchPrompt, raw: RawPrompt, wanted: Case, limit: number) => Promise<Sample>;
  readonly pid: () => number | null;
  readonly end: () => Promise<void>;
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      root: { type: 'string', default: process.cwd() },
      full: { type: 'boolean', default: true },
      set: { type: 'string', default: 'all' },
      prompts: { type: 'string', default: '1000' },
      rounds: { type: 'string', default: '1' },
      threads: { type: 'string', default: String(os.availableParallelism()) },
      temperatures: { type: 'string', default: '0,1' },
      'stop-rules': { type: 'string', default: 'on,off' },
      arms: { type: 'string', default: DRAFTERS.join(',') },
      peer: { type: 'string', multiple: true, default: [] },
      'drafter-model': { type: 'string', default: '' },
      causal: { type: 'string', default: '' },
      'keep-learned': { type: 'boolean', default: false },
      resume: { type: 'boolean', default: false },
      json: { type: 'string' },
    },
  });
  const sets = readSet(values.set);
  const arms = values.arms.split(',').map((name) => {
    const arm = ARMS.find((each) => each === name);
    if (arm === undefined) throw new Error(`--arms: there is no arm "${name}"; use ${ARMS.join(', ')}.`);
    return arm;
  });
  if (!arms.includes('none')) throw new Error('--arms: "none" has to be among them, all are compared with it.');
  if (arms.includes(CAUSAL) && values.causal === '') throw new Error('--arms causal: name its drafter, --causal FILE.');
  const number = (option: string, text: string, least: number): number => {
    const value = Number(text);
    if (text === '' || !Number.isFinite(value) || value < least)
      throw new Error(`--${option} ${text}: a number from ${least} on is wanted.`);
    return value;
  };
  const settings = {
    rounds: number('rounds', values.rounds, 1),
    temperatures: values.temperatures.split(',').map((text) => number('temperatures', text, 0)),
    stopRules: values['stop-rules'].split(',').map((text) => {
      if (text !== 'on' && text !== 'off') throw new Error(`--stop-rules ${text}: write on, off or on,off.`);
      return text === 'on';
    }),
  };
  if (arms.includes(REMEMBERING) && settings.rounds * settings.temperatures.length * settings.stopRules.length > 1) {
    throw new Error(
      `--arms ${REMEMBERING}: it would find its own answer to the same prompt; give one round, one temperature and --stop-rules on or off.`,
    );
  }
  return {
    ...values,
    arms,
    prompts: sets.flatMap((set) => spread(readPrompts(values.root, [set]), number('prompts', values.prompts, 1))),
    ...settings,
    threads: number('threads', values.threads, 1),
    peers: readPeers(values.peer),
  };
}

type Options = ReturnType<typeof readOptions>;

function ownArm(name: ArmName, options: Options, base: ServerSettings, signal: AbortSignal): Arm & ArmEngine {
  const storage = path.join(storageDirectory(options.root), name);
  const remember = name === REMEMBERING;
  const drafter: DrafterName = name === REMEMBERING ? 'auto' : name;
  if (!options['keep-learned']) rmSync(path.join(storage, 'learned.json'), { force: true });
  const own = name === CAUSAL ? { ...base, drafterPath: path.resolve(options.causal) } : base;
  const { engine, pid } = createArmEngine(options.root, own, storage);
  return {
    name,
    plain: 'none',
    peer: false,
    engine,
    pid,
    run: (prompt, raw, { temperature, stopRules, round }) => {
      const sampling = { ...base.sampling, temperature, seed: round + 1 };
      const settings = { ...own, drafter, remember, sampling };
      return stopRules ? runWithStopRules(prompt, engine, settings, signal) : runRaw(raw, engine, settings, signal);
    },
    end: () => engine.dispose(),
  };
}

function peerArm(server: PeerServer, signal: AbortSignal): Arm {
  const { name, plain } = server.mode;
  return {
    name,
    plain,
    peer: true,
    pid: () => server.pid,
    run: (_, raw, { temperature, round }, limit) =>
      server.complete({ ...raw, maxTokens: limit }, temperature, round + 1, signal),
    end: () => server.stop(),
  };
}

async function measure(options: Options, arms: readonly Arm[], raws: RawPrompt[], file: RecordFile): Promise<void> {
  const started = performance.now();
  let turn = 0;
  for (let round = 0; round < options.rounds; round++) {
    for (const [index, prompt] of options.prompts.entries()) {
      const raw = raws[index];
      if (raw === undefined) continue;
      for (const temperature of options.temperatures) {
        for (const stopRules of options.stopRules) {
          const wanted: Case = { set: prompt.kind, prompt: prompt.id, temperature, stopRules, round };
          turn++;
          if (
            file.holds(
              wanted,
              arms.map(({ name }) => name),
            )
          )
            continue;
          file.add(await measureCase(prompt, raw, wanted, arms, turn));
        }
      }
      const seconds = Math.round((performance.now() - started) / 1000);
      process.stderr.write(
        `\rround ${round + 1}, prompt ${index + 1} of ${options.prompts.length}, ${seconds} s: ${prompt.id}      `,
      );
    }
  }
  process.stderr.write('\n');
}

async function measureCase(
  prompt: BenchPrompt,
  raw: RawPrompt,
  wanted: Case,
  arms: readonly Arm[],
  turn: number,
): Promise<SampleRecord[]> {
  const own = arms.filter(({ peer }) => !peer);
  const peers = arms.filter(({ peer }) => peer);
  const records: SampleRecord[] = [];
  let limit = raw.maxTokens;
  // Ours first: where stop rules end the text, peers get as many tokens as were kept.
  for (const group of [own, peers]) {
    for (let step = 0; step < group.length; step++) {
      const arm = group[(step + turn) % group.length];
      if (arm === undefined) continue;
      if (arm.peer && limit === 0) continue;
      const sample = await arm.run(prompt, raw, wanted, limit);
      records.push({ ...wanted, arm: arm.name, sample, residentBytes: residentBytes(arm.pid()) });
      if (arm.name === 'none' && wanted.stopRules) limit = sample.tokens;
    }
  }
  return records;
}

async function main(): Promise<void> {
  const options = readOptions();
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort());
  const { signal } = stop;
  const base: ServerSettings = {
    ...DEFAULT_SETTINGS.server,
    idleMinutes: 0,
    threads: options.threads,
    drafterPath: options['drafter-model'],
  };
  const described = machine();
  const busy = await busyNeighbours(new Set([process.pid]), signal);
  if (busy.length > 0) console.log(`Beside this: ${busy.join(', ')}.`);

  const arms: Arm[] = [];
  const file = new RecordFile(path.join(options.root, 'build/bench/full.jsonl'), options.resume, {
    machine: described,
    busy,
  });
  try {
    const own = options.arms.map((name) => ownArm(name, options, base, signal));
    arms.push(...own);
    const folders = { extensionRoot: options.root, storageDirectory: storageDirectory(options.root) };
    const { targetPath } = await resolveModels(base, folders);
    for (const mode of options.peers) {
      const setup = {
        targetPath,
        threads: options.threads,
        contextTokens: PEER_CONTEXT_TOKENS,
        folder: options.root,
        logFolder: path.join(options.root, 'build/bench/peers'),
      };
      arms.push(peerArm(await PeerServer.start(mode, setup), signal));
    }
    const raws: RawPrompt[] = [];
    const [asking] = own;
    if (asking === undefined) throw new Error('There is no arm to measure.');
    for (const prompt of options.prompts) raws.push(await rawPrompt(prompt, asking.engine, base, signal));
    await measure(options, arms, raws, file);
  } finally {
    await Promise.all(arms.map((arm) => arm.end()));
  }

  const settings = summarizeRecords(file.records, arms, options.peers);
  const result = {
    sessions: file.sessions,
    threads: options.threads,
    prompts: [...new Set(file.records.map(({ prompt }) => prompt))],
    rounds: options.rounds,
    peers: options.peers.map(({ name, program, args }) => ({ name, program: path.basename(program), args })),
    settings,
  };
  const json = options.json ?? path.join(options.root, `bench/results/full-${machineSlug(described)}.json`);
  mkdirSync(path.dirname(json), { recursive: true });
  writeFileSync(json, `${JSON.stringify(result, null, 2)}\n`);
  for (const [ending, svg] of Object.entries(plots(settings))) {
    writeFileSync(`${json.replace(/\.json$/, '')}-${ending}.svg`, svg);
  }
  console.log(markdown(settings));
  console.log(
    `${described.cpu}, ${described.cores} cores, load ${described.loadAverage}: ${path.relative(process.cwd(), json)}`,
  );
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
});

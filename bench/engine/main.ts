/**
 * Every drafter on the held-out prompts, as the product completes them (same prompts, stop rules, engine process), the
 * arms one after the other on each prompt, in turning order, from the same cached prefix. Minutes; full.ts measures the
 * rest and other programs.
 *
 * Usage: npm run bench [-- --set code,edit,prose,summary|all --prompts N --rounds N --temperature X --json FILE
 *                          --drafter-model FILE --untrained FILE --causal FILE --stock --keep-learned --lengths N,N]
 * --lengths: lookup and the joint draft at fixed lengths besides, which says whether the controller's own are the best.
 * --stock: the same arms on llama.cpp's own CPU library besides. --causal: a small language model as a drafter besides.
 * `auto` has an engine of its own, which knows nothing at the start unless --keep-learned hands on what the last run's
 * learned.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { DEFAULT_SETTINGS, type DrafterName, type ServerSettings } from '../../protocol/settings';
import type { EngineClient } from '../../server/engine/client';
import { busyNeighbours, machine, machineSlug } from '../machine';
import { createArmEngine, storageDirectory } from './arm-engine';
import { readPrompts, readSet, spread, SETS } from './prompts';
import { runWithStopRules } from './run';
import { figures, type Figures, type Sample } from './sample';

interface Arm {
  readonly name: string;
  readonly drafter: DrafterName;
  readonly engine: EngineClient;
  /** γ; 0 is the controller's choice. */
  readonly draftLength: number;
  /** The arm of plain decoding on the same library. */
  readonly plain: string;
}

const GROUPS = ['all', ...SETS] as const;

function readOptions() {
  const { values } = parseArgs({
    options: {
      root: { type: 'string', default: process.cwd() },
      set: { type: 'string', default: 'all' },
      prompts: { type: 'string', default: '48' },
      rounds: { type: 'string', default: '2' },
      temperature: { type: 'string', default: '0' },
      // Fixed: the stock kernels' sums depend on the number, and so may greedy text.
      threads: { type: 'string', default: String(os.availableParallelism()) },
      'drafter-model': { type: 'string', default: '' },
      untrained: { type: 'string' },
      causal: { type: 'string' },
      stock: { type: 'boolean', default: false },
      lengths: { type: 'string', default: '' },
      'keep-learned': { type: 'boolean', default: false },
      json: { type: 'string' },
    },
  });
  return values;
}

const emptySamples = (): Sample[] => [];

async function main(): Promise<void> {
  const options = readOptions();
  const prompts = spread(readPrompts(options.root, readSet(options.set)), Number(options.prompts));
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  const base: ServerSettings = {
    ...DEFAULT_SETTINGS.server,
    idleMinutes: 0,
    // A prompt comes once for each arm: none may know what another wrote.
    remember: false,
    threads: Number(options.threads),
    drafterPath: options['drafter-model'],
    sampling: { ...DEFAULT_SETTINGS.server.sampling, temperature: Number(options.temperature) },
  };
  if (!options['keep-learned']) rmSync(path.join(storageDirectory(options.root), 'learned.json'), { force: true });
  const arms: Arm[] = [];
  /** The engine of those that are not `auto`. */
  const addArms = (settings: ServerSettings, suffix: string): EngineClient => {
    const engine = createArmEngine(options.root, settings).engine;
    const own = createArmEngine(options.root, settings).engine;
    for (const drafter of ['none', 'ngram', 'diffusion', 'joint', 'auto'] as const) {
      const name = drafter + suffix;
      const plain = `none${suffix}`;
      arms.push({ name, drafter, engine: drafter === 'auto' ? own : engine, draftLength: 0, plain });
    }
    return engine;
  };
  const engine = addArms(base, '');
  for (const draftLength of options.lengths.split(',').map(Number).filter(Boolean)) {
    for (const drafter of ['ngram', 'joint'] as const) {
      arms.push({ name: `${drafter}, γ ${draftLength}`, drafter, engine, draftLength, plain: 'none' });
    }
  }
  if (options.stock) addArms({ ...base, kernels: 'stock' }, ', stock library');
  if (options.causal !== undefined) {
    const causal = createArmEngine(options.root, { ...base, drafterPath: options.causal }).engine;
    arms.push({ name: 'causal', drafter: 'causal', engine: causal, draftLength: 0, plain: 'none' });
  }
  if (options.untrained !== undefined) {
    const untrained = createArmEngine(options.root, { ...base, drafterPath: options.untrained }).engine;
    const arm = { drafter: 'diffusion', engine: untrained, draftLength: 0, plain: 'none' } as const;
    arms.push({ name: 'diffusion, untrained', ...arm });
  }
  const samples = new Map(arms.map((arm) => [arm.name, new Map(GROUPS.map((group) => [group, emptySamples()]))]));
  const changedPrompts = new Map(arms.map((arm) => [arm.name, new Set<string>()]));
  const described = machine();
  const busy = await busyNeighbours(new Set([process.pid]), stop.signal);
  if (busy.length > 0) console.log(`Beside this: ${busy.join(', ')}.`);

  try {
    for (let round = 0; round < Number(options.rounds); round++) {
      for (const [index, prompt] of prompts.entries()) {
        const texts = new Map<string, string>();
        for (let turn = 0; turn < arms.length; turn++) {
          const arm = arms[(turn + index + round) % arms.length];
          if (arm === undefined) continue;
          const settings = { ...base, drafter: arm.drafter, draftLength: arm.draftLength };
          const sample = await runWithStopRules(prompt, arm.engine, settings, stop.signal);
          for (const group of ['all', prompt.kind] as const) samples.get(arm.name)?.get(group)?.push(sample);
          texts.set(arm.name, sample.text);
        }
        for (const { name, plain } of arms) {
          if (texts.get(name) !== texts.get(plain)) changedPrompts.get(name)?.add(prompt.id);
        }
        process.stderr.write(`\rround ${round + 1}, prompt ${index + 1} of ${prompts.length} `);
      }
    }
  } finally {
    process.stderr.write('\n');
    await Promise.all([...new Set(arms.map((arm) => arm.engine))].map((each) => each.dispose()));
  }

  const all: Record<string, Partial<Record<string, Figures>>> = {};
  for (const [name, groups] of samples) {
    const some = [...groups].filter(([, each]) => each.length > 0);
    all[name] = Object.fromEntries(some.map(([group, each]) => [group, figures(each)]));
  }
  const greedy = Number(options.temperature) === 0;
  const result = {
    machine: described,
    threads: base.threads,
    busy,
    prompts: prompts.length,
    rounds: Number(options.rounds),
    temperature: Number(options.temperature),
    figures: all,
    changedPrompts: greedy ? Object.fromEntries([...changedPrompts].map(([name, ids]) => [name, [...ids]])) : null,
  };
  const file =
    options.json ??
    path.join(options.root, `bench/results/engine-${machineSlug(described)}-t${options.temperature}.json`);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(result, null, 2)}\n`);

  for (const group of GROUPS) {
    const plain = all.none?.[group]?.tokensPerSecond ?? 0;
    if (plain === 0) continue;
    console.log(`\n${group}`);
    console.table(
      Object.fromEntries(
        arms.map(({ name }) => {
          const row = all[name]?.[group];
          return [
            name,
            {
              τ: row?.tau,
              'draft acceptance': row?.draftAcceptance ?? '–',
              'tokens/s': row?.tokensPerSecond,
              'to plain': row === undefined ? '–' : Number((row.tokensPerSecond / plain).toFixed(2)),
              'draft share': row?.draftShare,
              ...(greedy && group === 'all' ? { changed: changedPrompts.get(name)?.size } : {}),
            },
          ];
        }),
      ),
    );
  }
  console.log(
    `${described.cpu}, ${described.cores} cores, load ${described.loadAverage}: ${path.relative(process.cwd(), file)}`,
  );
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
});

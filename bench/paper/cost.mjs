// From which size of target on a standalone diffusion drafter pays: times of target passes and of denoising steps, of
// random weights, and what follows from them for a given acceptance of each slot (docs/paper.md).
// Targets and drafters take turns, so that a busy machine slows all alike.
//
//   node bench/paper/cost.mjs [--threads N] [--rounds N] [--drafter FILE.gguf …] [--json FILE]
//
// --drafter: a SEDD or MDLM file besides the random ones of SEDD-small's shape.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { nativeFolder } from '../../scripts/llama.mjs';
import { buildKernels, machineVariant } from '../../scripts/kernels.mjs';
import { run, runMain } from '../../scripts/process.mjs';
import { machine, slug } from '../kernels/machine.mjs';
import { least, median } from '../kernels/statistics.mjs';
import { DRAFTS, breakEven, speedups } from './break-even.mjs';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const TARGETS = ['0.5b', '1.5b', '3b'];
/** Parameters of the shapes, token table and head counted once, in 10⁹. */
const PARAMETERS = { '0.5b': 0.494, '1.5b': 1.544, '3b': 3.086 };
const CONTEXT = 256;
/** Rows of a verification, and slots of a draft. */
const ROWS = [1, 2, 4, 8, 16];
const SLOTS = [...DRAFTS, 16];
const REPETITIONS = 5;
const SIGMA = 0.05;

/** A program that answers a line with a line of JSON. */
class Timed {
  constructor(program, args) {
    this.child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.ended = new Promise((_, reject) => {
      this.child.once('error', reject);
      this.child.once('exit', (code) => reject(new Error(`${path.basename(program)} ended with exit code ${code}`)));
    });
    this.ended.catch(() => {});
    this.answers = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
  }

  async answer() {
    const { value } = await Promise.race([this.answers.next(), this.ended]);
    return JSON.parse(value);
  }

  async ask(line) {
    this.child.stdin.write(`${line}\n`);
    return this.answer();
  }

  async end() {
    this.child.stdin.end();
    await this.ended.catch(() => {});
  }
}

/** A line for specdiff-logits: `slots` rows after a window of text, of which `frozen` tokens are in the cells. */
function request(frozen, slots) {
  const tokens = Array.from({ length: CONTEXT + slots }, (_, i) => 100 + 37 * (i % 200));
  return [SIGMA, frozen, CONTEXT, slots, ...tokens].join(' ');
}

async function randomFile(build, name, size) {
  const file = path.join(ROOT, 'build/kernels', name);
  if (!existsSync(file)) await run(path.join(build, 'random_model'), [file, size]);
  return file;
}

/** Adds what was measured to a list by name. */
function note(times, name, ms) {
  times.set(name, [...(times.get(name) ?? []), ms]);
}

async function measure(targets, drafters, rounds) {
  for (const { timed, times } of targets) note(times, 'prefill', (await timed.ask(`context ${CONTEXT}`)).ms);
  for (let round = 0; round < rounds; round++) {
    for (const { timed, times } of targets) {
      for (const rows of ROWS) {
        await timed.ask(`step ${rows}`); // the first of a size builds its graph
        for (let i = 0; i < 2; i++) note(times, `${rows}`, (await timed.ask(`step ${rows}`)).ms);
      }
    }
    for (const drafter of drafters) {
      const { timed, times } = drafter;
      note(times, 'window', (await timed.ask(request(0, 16))).least);
      for (const slots of SLOTS) {
        const { least: ms, bytes } = await timed.ask(request(CONTEXT, slots));
        note(times, `${slots}`, ms);
        drafter.bytes = bytes;
      }
    }
    process.stderr.write(`\rround ${round + 1} of ${rounds} `);
  }
  process.stderr.write('\n');
}

const summary = (times) =>
  Object.fromEntries([...times].map(([what, values]) => [what, { least: least(values), median: median(values) }]));

/** Below the smallest target measured, the straight line says nothing. */
const size = (billions) => (billions < PARAMETERS['0.5b'] ? 'below 0.5' : billions.toFixed(1));

const table = (head, rows) =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

function print(result) {
  const ms = ({ least: value }) => value.toFixed(1);
  console.log(`${result.machine.cpu}, ${result.threads} threads, context ${CONTEXT}; least of the times, ms\n`);
  console.log(
    table(
      ['target', 'file MB', ...ROWS.map((rows) => `n = ${rows}`), 'c(8)', 'c(16)'],
      result.targets.map(({ name, megabytes, times }) => [
        name,
        megabytes,
        ...ROWS.map((rows) => ms(times[rows])),
        (times[8].least / times[1].least).toFixed(2),
        (times[16].least / times[1].least).toFixed(2),
      ]),
    ),
  );
  console.log(
    `\n${table(
      ['drafter', 'file MB', 'memory MB', 'window 256 + 16', ...SLOTS.map((slots) => `step of ${slots}`)],
      result.drafters.map(({ name, megabytes, memoryMegabytes, times }) => [
        name,
        megabytes,
        memoryMegabytes,
        ms(times.window),
        ...SLOTS.map((slots) => ms(times[slots])),
      ]),
    )}\n`,
  );
  console.log(
    table(
      ['drafter', 'T', 'acceptance of a slot', 'γ', 'τ', 'one-row pass, ms', 'target, 10⁹ parameters'],
      result.breakEven.map(({ drafter, steps, acceptance, best }) =>
        best === null
          ? [drafter, steps, acceptance, '–', '–', 'never', 'never']
          : [drafter, steps, acceptance, best.slots, best.tau.toFixed(2), best.passMs.toFixed(1), size(best.billions)],
      ),
    ),
  );
  const head = ['drafter', 'T', 'acceptance of a slot', ...result.targets.map(({ name }) => `${name}: speed-up (γ)`)];
  const rows = result.breakEven.map(({ drafter, steps, acceptance }) => [
    drafter,
    steps,
    acceptance,
    ...result.speedups
      .filter((each) => each.drafter === drafter && each.steps === steps && each.acceptance === acceptance)
      .map(({ speedup, slots }) => `${speedup.toFixed(2)} (${slots})`),
  ]);
  console.log(`\n${table(head, rows)}`);
}

runMain(async () => {
  const { values } = parseArgs({
    options: {
      threads: { type: 'string', default: String(os.availableParallelism()) },
      rounds: { type: 'string', default: '5' },
      drafter: { type: 'string', multiple: true, default: [] },
      json: { type: 'string' },
    },
  });
  const variant = machineVariant();
  if (variant === null) throw new Error('There are no kernels for this CPU: nothing to measure the product with.');
  const program = path.join(ROOT, 'build/native/specdiff-logits');
  if (!existsSync(program)) throw new Error(`${program} is missing; run \`npm run build\` first.`);
  const { build, library } = await buildKernels(ROOT, variant, { tools: true });
  const folder = process.env.INIT_CWD ?? process.cwd();
  const files = [
    await randomFile(build, 'random-sedd-small-q8_0.gguf', 'sedd-small'),
    await randomFile(build, 'random-sedd-small-q4_0.gguf', 'sedd-small-q4_0'),
    ...values.drafter.map((file) => path.resolve(folder, file)),
  ];
  const megabytes = (file) => Math.round(statSync(file).size / 1e6);
  const targets = [];
  for (const name of TARGETS) {
    const file = await randomFile(build, `random-qwen2.5-${name}-q4_k_m.gguf`, name);
    const timed = new Timed(path.join(build, 'step_times'), [library, file, values.threads, '512']);
    await timed.answer();
    targets.push({ name, megabytes: megabytes(file), timed, times: new Map() });
  }
  const native = path.join(ROOT, 'dist/native', nativeFolder());
  const drafters = files.map((file) => {
    const own = ['--native', native, '--cpu-library', path.basename(library), '--threads', values.threads];
    const timed = new Timed(program, ['--model', file, ...own, '--time', String(REPETITIONS)]);
    return { name: path.basename(file), megabytes: megabytes(file), timed, times: new Map(), bytes: 0 };
  });
  await measure(targets, drafters, Number(values.rounds));
  for (const { timed } of [...targets, ...drafters]) await timed.end();

  const description = machine();
  const result = {
    machine: description,
    threads: Number(values.threads),
    context: CONTEXT,
    targets: targets.map(({ name, megabytes: size, times }) => ({
      name,
      billions: PARAMETERS[name],
      megabytes: size,
      times: summary(times),
    })),
    drafters: drafters.map(({ name, megabytes: size, times, bytes }) => ({
      name,
      megabytes: size,
      memoryMegabytes: Math.round(bytes / 1e6),
      times: summary(times),
    })),
  };
  result.breakEven = breakEven(result);
  result.speedups = speedups(result);
  const file = values.json ?? path.join(ROOT, `bench/results/paper-cost-${slug(description)}.json`);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(result, null, 1)}\n`);
  print(result);
  console.log(`\nWritten: ${path.relative(ROOT, file)}`);
});

// CPU kernels against llama.cpp's own library as its own selection picks it: time of a pass by number of rows, and prefill.
// The arms run in processes of their own and take turns, so that a busy machine slows all alike.
//
//   npm run bench:kernels -- [--threads N] [--rounds N] [--model default|random] [--context N,N] [--peer DIR]
//
// --peer: another checkout of the llama.cpp family (ik_llama.cpp), built for this CPU and timed as a third arm.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { buildKernels, machineVariant } from '../../scripts/kernels.mjs';
import { run, runMain } from '../../scripts/process.mjs';
import { machine, slug } from './machine.mjs';
import { least, median } from './statistics.mjs';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const ROWS = [1, 2, 4, 8, 16, 32];

/** One library with the model loaded, waiting for commands. */
class Arm {
  constructor(name, program, args) {
    this.name = name;
    this.child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.ended = new Promise((_, reject) => {
      this.child.once('error', reject);
      this.child.once('exit', (code) => reject(new Error(`${name}: the timing program ended with exit code ${code}`)));
    });
    this.ended.catch(() => {});
    this.answers = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
  }

  async answer() {
    const { value } = await Promise.race([this.answers.next(), this.ended]);
    return JSON.parse(value);
  }

  async ask(command, count) {
    this.child.stdin.write(`${command} ${count}\n`);
    return (await this.answer()).ms;
  }

  async end() {
    this.child.stdin.end('quit\n');
    await this.ended.catch(() => {});
  }
}

/** Builds the timing program on another checkout; the first time takes as long as that checkout's library does. */
async function buildPeer(folder) {
  const build = path.join(ROOT, 'build/kernels', `peer-${path.basename(folder)}`);
  const definitions = ['-DCMAKE_BUILD_TYPE=Release', `-DPEER=${folder}`];
  await run('cmake', ['-S', path.join(ROOT, 'bench/kernels/peer'), '-B', build, '--log-level=ERROR', ...definitions]);
  const jobs = String(os.availableParallelism());
  await run('cmake', [
    '--build',
    build,
    '--target',
    'step_times',
    '--parallel',
    jobs,
    '--',
    '--no-print-directory',
    '-s',
  ]);
  return path.join(build, 'step_times');
}

/** Times the arms in turns: prefill of `context` tokens, then passes of each row count after it. */
async function measure(arms, context, rounds) {
  const times = new Map();
  const note = (what, arm, ms) => {
    const key = `${what} ${arm.name}`;
    times.set(key, [...(times.get(key) ?? []), ms]);
  };
  for (let round = 0; round < Math.max(2, Math.ceil(rounds / 4)); ++round) {
    for (const arm of arms) note('prefill', arm, await arm.ask('context', context));
  }
  for (let round = 0; round < rounds; ++round) {
    for (const n of ROWS) {
      for (const arm of arms) {
        await arm.ask('step', n); // the first of a size builds its graph
        note(`n=${n}`, arm, await arm.ask('step', n));
      }
    }
  }
  return ['prefill', ...ROWS.map((n) => `n=${n}`)].map((what) => {
    const summary = ({ name }) => {
      const values = times.get(`${what} ${name}`);
      return { median: median(values), least: least(values) };
    };
    const row = { what, context };
    for (const arm of arms) row[arm.name] = summary(arm);
    for (const arm of arms.slice(1)) {
      row[arm.name].toStock = {
        median: row[arm.name].median / row.stock.median,
        least: row[arm.name].least / row.stock.least,
      };
    }
    return row;
  });
}

function print(title, arms, rows) {
  console.log(`\n${title}`);
  const others = arms.slice(1).map(({ name }) => name);
  const heads = others.map((name) => `${`${name} ms`.padStart(11)}  ÷ stock: least, median`);
  console.log(`context  what       stock ms${heads.join('')}`);
  for (const row of rows) {
    const columns = others.map((name) => {
      const { least: ms, toStock } = row[name];
      return `${ms.toFixed(2).padStart(11)}${toStock.least.toFixed(3).padStart(16)}${toStock.median.toFixed(3).padStart(8)}`;
    });
    console.log(
      `${String(row.context).padStart(7)}  ${row.what.padEnd(8)}${row.stock.least.toFixed(2).padStart(11)}${columns.join('')}`,
    );
  }
}

runMain(async () => {
  const { values } = parseArgs({
    options: {
      threads: { type: 'string', default: String(os.availableParallelism()) },
      rounds: { type: 'string', default: '11' },
      model: { type: 'string' },
      context: { type: 'string', default: '256,1000' },
      peer: { type: 'string' },
    },
  });
  const variant = machineVariant();
  if (variant === null) throw new Error('There are no kernels for this CPU: nothing to compare.');
  const built = await buildKernels(ROOT, variant, { tools: true });
  const random = path.join(ROOT, 'build/kernels/random-qwen2.5-1.5b-q4_k_m.gguf');
  if (values.model !== 'default' && !existsSync(random)) await run(path.join(built.build, 'random_model'), [random]);
  const models = [
    { name: 'default', file: path.join(ROOT, 'models/cache/SmolLM2-135M-Instruct.Q4_1.gguf') },
    { name: 'random', file: random },
  ].filter(({ name }) => values.model === undefined || values.model === name);

  const peer = values.peer === undefined ? null : path.resolve(values.peer);
  const peerProgram = peer === null ? null : await buildPeer(peer);

  const results = [];
  for (const model of models) {
    const args = [model.file, values.threads, '2048'];
    const program = path.join(built.build, 'step_times');
    // llama.cpp's own folder, not ours: its selection must not find our library.
    const arms = [
      new Arm('stock', program, [built.prebuilt, ...args]),
      new Arm('ours', program, [built.library, ...args]),
      ...(peerProgram === null ? [] : [new Arm('peer', peerProgram, ['linked', ...args])]),
    ];
    const load = {};
    for (const arm of arms) load[arm.name] = (await arm.answer()).load_ms;
    const rows = [];
    for (const context of values.context.split(',').map(Number)) {
      rows.push(...(await measure(arms, context, Number(values.rounds))));
    }
    for (const arm of arms) await arm.end();
    print(
      `${path.basename(model.file)}, ${values.threads} threads, loaded in ${arms.map(({ name }) => `${Math.round(load[name])} ms (${name})`).join(', ')}`,
      arms,
      rows,
    );
    results.push({ model: path.basename(model.file), threads: Number(values.threads), loadMs: load, rows });
  }
  const description = machine();
  const file = path.join(ROOT, 'bench/results', `kernels-${slug(description)}.json`);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(
    file,
    `${JSON.stringify({ machine: description, variant: built.variant, peer: peer && path.basename(peer), results }, null, 2)}\n`,
  );
  console.log(`\nWritten: ${path.relative(ROOT, file)}`);
});

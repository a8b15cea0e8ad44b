// CPU kernels against llama.cpp's own library as its own selection picks it: time of a pass by number of rows, and prefill.
// Both libraries run in processes of their own and take turns, so that a busy machine slows both alike.
//
//   node bench/kernels/bench.mjs [--threads N] [--rounds N] [--model default|random] [--context N,N]
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { buildKernels, machineVariant } from '../../scripts/kernels.mjs';
import { run, runMain } from '../../scripts/process.mjs';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const ROWS = [1, 2, 4, 8, 16, 32];

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
const least = (values) => Math.min(...values);

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

function machine() {
  const info = existsSync('/proc/cpuinfo') ? readFileSync('/proc/cpuinfo', 'utf8') : '';
  const field = (key) => new RegExp(`^${key}\\s*: (.*)$`, 'm').exec(info)?.[1] ?? '?';
  return {
    cpu: `${os.cpus()[0]?.model.trim()} (family ${field('cpu family')}, model ${field('model')})`,
    cores: os.availableParallelism(),
    memoryGb: Number((os.totalmem() / 1e9).toFixed(1)),
    loadAverage: Number(os.loadavg()[0].toFixed(2)),
    platform: `${process.platform}-${process.arch}`,
    date: new Date().toISOString().slice(0, 10),
  };
}

/** Times both arms in turns: prefill of `context` tokens, then passes of each row count after it. */
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
    const [stock, ours] = arms.map((arm) => times.get(`${what} ${arm.name}`));
    const summary = (values) => ({ median: median(values), least: least(values) });
    return {
      what,
      context,
      stock: summary(stock),
      ours: summary(ours),
      ratio: { median: median(ours) / median(stock), least: least(ours) / least(stock) },
    };
  });
}

function print(title, rows) {
  console.log(`\n${title}`);
  console.log('context  what       stock ms     ours ms   ratio (least)   ratio (median)');
  for (const { context, what, stock, ours, ratio } of rows) {
    const columns = [stock.least, ours.least].map((ms) => ms.toFixed(2).padStart(11));
    console.log(
      `${String(context).padStart(7)}  ${what.padEnd(8)}${columns.join(' ')}${ratio.least.toFixed(3).padStart(14)}${ratio.median.toFixed(3).padStart(17)}`,
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

  const results = [];
  for (const model of models) {
    const args = [model.file, values.threads, '2048'];
    const program = path.join(built.build, 'step_times');
    // llama.cpp's own folder, not ours: its selection must not find our library.
    const arms = [
      new Arm('stock', program, [built.prebuilt, ...args]),
      new Arm('ours', program, [built.library, ...args]),
    ];
    const load = {};
    for (const arm of arms) load[arm.name] = (await arm.answer()).load_ms;
    const rows = [];
    for (const context of values.context.split(',').map(Number)) {
      rows.push(...(await measure(arms, context, Number(values.rounds))));
    }
    for (const arm of arms) await arm.end();
    print(
      `${path.basename(model.file)}, ${values.threads} threads, load ${Math.round(load.stock)} → ${Math.round(load.ours)} ms`,
      rows,
    );
    results.push({ model: path.basename(model.file), threads: Number(values.threads), loadMs: load, rows });
  }
  const description = machine();
  const slug = description.cpu
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '');
  const file = path.join(ROOT, 'bench/results', `kernels-${slug}.json`);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify({ machine: description, variant: built.variant, results }, null, 2)}\n`);
  console.log(`\nWritten: ${path.relative(ROOT, file)}`);
});

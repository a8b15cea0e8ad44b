// Speed beside a busy process: plain decoding with one thread and with the engine's own choice of threads, on a quiet
// machine and with processes that never rest beside it, in turns.
//
//   node bench/kernels/contention.mjs [--busy N] [--rounds N] [--tokens N]
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { nativeFolder } from '../../scripts/llama.mjs';
import { runMain } from '../../scripts/process.mjs';
import { median } from './statistics.mjs';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const ENGINE = path.join(ROOT, 'dist/native', nativeFolder(), 'specdiff-engine');
const TARGET = path.join(ROOT, 'models/cache/SmolLM2-135M-Instruct.Q4_1.gguf');
/** Generations of one run: the first ones teach the engine that it isn't alone. */
const REPEAT = 6;

runMain(async () => {
  const { values } = parseArgs({
    options: {
      busy: { type: 'string', default: '1' },
      rounds: { type: 'string', default: '5' },
      tokens: { type: 'string', default: '96' },
    },
  });
  const folder = mkdtempSync(path.join(os.tmpdir(), 'specdiff-contention-'));
  const prompt = path.join(folder, 'prompt');
  const [first] = readFileSync(path.join(ROOT, 'bench/prompts/heldout.jsonl'), 'utf8').split('\n');
  writeFileSync(prompt, JSON.parse(first).text);

  /** Tokens a second of the second half of the generations. */
  const speed = async (threads) => {
    const args = ['--target', TARGET, '--prompt-file', prompt, '--json', '--drafter', 'none', '--threads', threads];
    const { stdout } = await promisify(execFile)(ENGINE, [
      ...args,
      '--max-tokens',
      values.tokens,
      '--repeat',
      String(REPEAT),
    ]);
    const runs = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).tokensPerSecond);
    return median(runs.slice(REPEAT / 2));
  };
  const arms = [
    { name: '1 thread, quiet', threads: '1', busy: 0 },
    { name: 'own choice, quiet', threads: '0', busy: 0 },
    { name: `1 thread, ${values.busy} busy beside it`, threads: '1', busy: Number(values.busy) },
    { name: `own choice, ${values.busy} busy beside it`, threads: '0', busy: Number(values.busy) },
  ];
  const speeds = new Map(arms.map(({ name }) => [name, []]));
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const { name, threads, busy } of arms) {
      const neighbours = Array.from({ length: busy }, () => spawn(process.execPath, ['-e', 'for (;;);']));
      try {
        speeds.get(name).push(await speed(threads));
      } finally {
        for (const neighbour of neighbours) neighbour.kill('SIGKILL');
      }
    }
  }
  rmSync(folder, { recursive: true });
  const quiet = median(speeds.get(arms[0].name));
  console.log(`load ${os.loadavg()[0].toFixed(1)}, ${os.availableParallelism()} cores`);
  for (const { name } of arms) {
    const value = median(speeds.get(name));
    console.log(
      `${name.padEnd(32)}${value.toFixed(1).padStart(8)} tokens/s${(quiet / value).toFixed(2).padStart(8)} × one thread's time`,
    );
  }
});

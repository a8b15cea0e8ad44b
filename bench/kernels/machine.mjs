// What was measured on, for programs that are run without a bundler (bench/machine.ts is for the others).
import { existsSync, readFileSync } from 'node:fs';
import os from 'node:os';

export function machine() {
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

/** Part of a result file's name. */
export const slug = ({ cpu }) =>
  cpu
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '');

/** What a result was measured on: absolute times mean nothing without it. */
import { readFileSync, readdirSync } from 'node:fs';
import os from 'node:os';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly loadAverage: number;
  readonly platform: string;
  readonly node: string;
  readonly date: string;
}

export function machine(): Machine {
  return {
    cpu: cpuName(),
    cores: os.availableParallelism(),
    memoryGb: Number((os.totalmem() / 1e9).toFixed(1)),
    loadAverage: Number((os.loadavg()[0] ?? 0).toFixed(2)),
    platform: `${process.platform}-${process.arch}`,
    node: process.versions.node,
    date: new Date().toISOString().slice(0, 10),
  };
}

/** The name, and on Linux family and model: a virtual machine's name alone ("AMD EPYC") does not tell Zen 3 from Zen 4. */
function cpuName(): string {
  const name = os.cpus()[0]?.model.trim() ?? 'unknown CPU';
  if (process.platform !== 'linux') return name;
  const info = readFileSync('/proc/cpuinfo', 'utf8');
  const field = (key: string): string => new RegExp(`^${key}\\s*: (.*)$`, 'm').exec(info)?.[1] ?? '?';
  return `${name} (family ${field('cpu family')}, model ${field('model')})`;
}

/** Part of a result file's name. */
export function machineSlug({ cpu }: Machine): string {
  return cpu
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '');
}

/** Processes other than `own` that took more than a tenth of a core over the given time; Linux only. */
export async function busyNeighbours(own: ReadonlySet<number>, signal: AbortSignal, overMs = 1000): Promise<string[]> {
  if (process.platform !== 'linux') return [];
  const before = processTimes();
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(resolve, overMs);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(new Error('The benchmark was stopped.'));
    });
  });
  const busy: string[] = [];
  for (const [pid, { name, ticks }] of processTimes()) {
    const earlier = before.get(pid);
    if (own.has(pid) || earlier === undefined) continue;
    const share = ((ticks - earlier.ticks) * 10) / overMs; // 100 ticks a second
    if (share > 0.1) busy.push(`${name} (${Math.round(share * 100)} % of a core)`);
  }
  return busy;
}

function processTimes(): Map<number, { name: string; ticks: number }> {
  const times = new Map<number, { name: string; ticks: number }>();
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'utf8');
      const open = stat.indexOf('(');
      const close = stat.lastIndexOf(')');
      const fields = stat.slice(close + 2).split(' ');
      times.set(Number(entry), { name: stat.slice(open + 1, close), ticks: Number(fields[11]) + Number(fields[12]) });
    } catch {
      // It ended meanwhile.
    }
  }
  return times;
}

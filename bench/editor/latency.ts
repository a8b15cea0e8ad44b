/**
 * Time from a keystroke to the first painted ghost text in a real editor, and what the engine costs meanwhile.
 *
 *   fresh: a character typed at a place where nothing has been asked for yet, in files of several languages;
 *   edit:  one more character at a place whose prompt is cached (what was shown is dismissed first, so that the text
 *          can't be served from the running session).
 *
 * Both ends are taken inside the page: the key event's own time stamp, and the frame in which text first stands there.
 * `--kernels stock` measures llama.cpp's own CPU library instead of ours.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Editor } from '../../test/e2e/harness/editor';
import { findEnvironment } from '../../test/e2e/harness/environment';
import { cpuSeconds, descendants, residentBytes } from '../../test/e2e/harness/processes';
import { busyNeighbours, machine, machineSlug } from '../machine';
import { placesIn, type Place } from './scenarios';

const FILES = ['src/cart.js', 'src/inventory.ts', 'tools/report.py', 'server/main.go', 'README.md'];
const FRESH_PER_FILE = 6;
const EDITS_PER_FILE = 6;
/** A keystroke that brings nothing in this time is counted as without text. */
const GIVE_UP_MS = 6000;
const IDLE_SECONDS = 10;

interface Sample {
  readonly kind: 'fresh' | 'edit';
  readonly place: Place;
  /** null where no ghost text came: the model had nothing to say, or a stop rule cut all of it. */
  readonly ms: number | null;
}

/** Types one character and waits for ghost text, or gives up. */
async function keystroke(editor: Editor, kind: Sample['kind'], place: Place, character: string): Promise<Sample> {
  await editor.startRecording();
  await editor.takeRecording();
  await editor.type(character);
  const appeared = await editor.appears(GIVE_UP_MS);
  const { frames, keys } = await editor.takeRecording();
  const pressedAt = keys.find((key) => key.key === character)?.atMs;
  const shownAt = frames.find((frame) => frame.text !== '' && frame.atMs >= (pressedAt ?? Infinity))?.atMs;
  const ms =
    appeared && pressedAt !== undefined && shownAt !== undefined ? Number((shownAt - pressedAt).toFixed(1)) : null;
  return { kind, place, ms };
}

async function fresh(editor: Editor, place: Place): Promise<Sample> {
  await editor.moveTo(place.line, place.column);
  const sample = await keystroke(editor, 'fresh', place, ' ');
  await leaveNoTrace(editor);
  return sample;
}

async function edits(editor: Editor, place: Place, count: number): Promise<Sample[]> {
  await editor.moveTo(place.line, place.column);
  await keystroke(editor, 'fresh', place, ' ');
  const samples: Sample[] = [];
  for (const character of 'return'.slice(0, count)) {
    if ((await editor.ghost()) !== '') await editor.press('Escape');
    await editor.waitForNoGhost();
    await editor.waitForIdle();
    samples.push(await keystroke(editor, 'edit', place, character));
  }
  await leaveNoTrace(editor);
  return samples;
}

/** Ends the completion and restores the file, so that every place sees the same text. */
async function leaveNoTrace(editor: Editor): Promise<void> {
  if ((await editor.ghost()) !== '') await editor.press('Escape');
  await editor.waitForIdle();
  await editor.runCommand('File: Revert File');
  await editor.page.locator('.tab.active:not(.dirty)').waitFor();
}

/** Nearest-rank percentile. */
function percentile(values: readonly number[], part: number): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? null;
}

function summary(samples: readonly Sample[]): Record<string, number | null> {
  const values = samples.flatMap((sample) => (sample.ms === null ? [] : [sample.ms]));
  return {
    keystrokes: samples.length,
    withText: values.length,
    p50Ms: percentile(values, 0.5),
    p95Ms: percentile(values, 0.95),
    maxMs: percentile(values, 1),
  };
}

/** Resident memory now, and the processor time used over some idle seconds, of each of our processes. */
async function costs(editor: Editor): Promise<Record<string, unknown>> {
  const found = { engine: 'dist/engine.js', server: 'dist/server.js' };
  const processes = Object.entries(found).flatMap(([name, part]) =>
    editor.processes(part).map(({ pid }) => ({ name, pid, before: cpuSeconds(pid) })),
  );
  await delay(IDLE_SECONDS * 1000);
  return Object.fromEntries(
    processes.map(({ name, pid, before }) => [
      name,
      {
        residentMiB: Math.round(residentBytes(pid) / 2 ** 20),
        idleCpuPercent: Number(((100 * (cpuSeconds(pid) - before)) / IDLE_SECONDS).toFixed(2)),
      },
    ]),
  );
}

/** Ourselves, the editor's processes and the browser's. */
function ours(editor: Editor): Set<number> {
  return new Set([process.pid, editor.server.pid, ...descendants(process.pid).map(({ pid }) => pid)]);
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { kernels: { type: 'string', default: 'auto' } },
    allowPositionals: true,
  });
  const root = positionals[0] ?? process.cwd();
  const environment = await findEnvironment(root);
  if ('reason' in environment) throw new Error(`No measurement: ${environment.reason}`);
  const signal = new AbortController().signal;
  const described = machine();
  const busyBefore = await busyNeighbours(new Set([process.pid]), signal);
  const editor = await Editor.open(environment, { settings: { 'specdiff.engine.kernels': values.kernels } });
  const samples: Sample[] = [];
  try {
    for (const file of FILES) {
      await editor.openFile(file);
      const places = placesIn(file, editor.onDisk(file), FRESH_PER_FILE + 1);
      // The first request of all loads the model: its place is not measured.
      if (file === FILES[0]) await fresh(editor, places[0] ?? { file, line: 1, column: 1 });
      for (const place of places.slice(0, FRESH_PER_FILE)) samples.push(await fresh(editor, place));
      const warm = places.at(-1);
      if (warm !== undefined) samples.push(...(await edits(editor, warm, EDITS_PER_FILE)));
      console.log(`${file}: ${samples.length} keystrokes so far`);
    }
    // Whatever a file that was put back may have asked for again ends with its editor.
    await editor.runCommand('View: Close All Editors');
    await editor.waitForIdle();
    const result = {
      machine: described,
      kernels: values.kernels,
      /** Others that used the processor: absolute times count only where there were none. */
      neighbours: { before: busyBefore, after: await busyNeighbours(ours(editor), signal) },
      fresh: summary(samples.filter((sample) => sample.kind === 'fresh')),
      edit: summary(samples.filter((sample) => sample.kind === 'edit')),
      all: summary(samples),
      processes: await costs(editor),
      samples,
    };
    const folder = path.join(root, 'bench/results');
    mkdirSync(folder, { recursive: true });
    const output = path.join(
      folder,
      `editor-${machineSlug(described)}${values.kernels === 'auto' ? '' : `-${values.kernels}`}.json`,
    );
    writeFileSync(output, `${JSON.stringify(result, null, 2)}\n`);
    console.table({ fresh: result.fresh, edit: result.edit, all: result.all });
    console.table(result.processes);
    const { before, after } = result.neighbours;
    console.log(
      `Written to ${path.relative(root, output)}; other busy processes: ${[...before, ...after].join(', ') || 'none'}`,
    );
  } finally {
    await editor.close();
  }
}

await main();

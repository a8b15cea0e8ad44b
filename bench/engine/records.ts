/** Every sample of a full run, one a line, written as it is taken: a run that was stopped goes on from there. */
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import type { Machine } from '../machine';
import { SETS, type PromptSet } from './prompts';
import type { Sample } from './sample';

/** What is the same for all arms that are compared. */
export interface Case {
  readonly set: PromptSet;
  readonly prompt: string;
  readonly temperature: number;
  readonly stopRules: boolean;
  readonly round: number;
}

export interface SampleRecord extends Case {
  readonly arm: string;
  readonly sample: Sample;
  /** Of the arm's process, after the sample. */
  readonly residentBytes: number | null;
}

/** One start of the benchmark: the machine then, and what else it was doing. */
export interface Session {
  readonly machine: Machine;
  readonly busy: readonly string[];
}

export class RecordFile {
  records: SampleRecord[] = [];
  /** Those that took the samples. */
  readonly sessions: Session[] = [];
  private opened = false;

  /** @param goOn keeps what the file holds */
  constructor(
    private readonly file: string,
    goOn: boolean,
    private readonly session: Session,
  ) {
    mkdirSync(path.dirname(file), { recursive: true });
    if (!goOn) rmSync(file, { force: true });
    else if (existsSync(file)) {
      for (const line of readLines(readFileSync(file, 'utf8'))) {
        if ('busy' in line) this.sessions.push(line);
        else this.keep(line);
      }
    }
  }

  /** Whether every arm has been measured in a case; arms are compared with their neighbours in time only. */
  holds(wanted: Case, arms: readonly string[]): boolean {
    const found = new Set(this.records.filter((record) => sameCase(record, wanted)).map(({ arm }) => arm));
    return arms.every((arm) => found.has(arm));
  }

  /** All arms of one case at once, in place of an earlier try. */
  add(records: readonly SampleRecord[]): void {
    for (const record of records) this.keep(record);
    const lines: (SampleRecord | Session)[] = [...records];
    if (!this.opened) {
      this.opened = true;
      this.sessions.push(this.session);
      lines.unshift(this.session);
    }
    appendFileSync(this.file, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  }

  private keep(record: SampleRecord): void {
    this.records = this.records.filter((other) => other.arm !== record.arm || !sameCase(other, record));
    this.records.push(record);
  }
}

export function sameCase(a: Case, b: Case): boolean {
  return (
    a.set === b.set &&
    a.prompt === b.prompt &&
    a.temperature === b.temperature &&
    a.stopRules === b.stopRules &&
    a.round === b.round
  );
}

function readLines(text: string): (SampleRecord | Session)[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line, index) => {
      const value: unknown = JSON.parse(line);
      if (isRecord(value) || isSession(value)) return value;
      throw new Error(`Line ${index + 1} of the samples is none: run without --resume.`);
    });
}

function isSession(value: unknown): value is Session {
  if (typeof value !== 'object' || value === null) return false;
  const { machine, busy }: Record<string, unknown> = { ...value };
  return typeof machine === 'object' && machine !== null && Array.isArray(busy);
}

function isRecord(value: unknown): value is SampleRecord {
  if (typeof value !== 'object' || value === null) return false;
  const { set, prompt, temperature, stopRules, round, arm, sample }: Record<string, unknown> = { ...value };
  return (
    SETS.some((each) => each === set) &&
    [prompt, arm].every((each) => typeof each === 'string') &&
    [temperature, round].every((each) => typeof each === 'number') &&
    typeof stopRules === 'boolean' &&
    typeof sample === 'object' &&
    sample !== null
  );
}

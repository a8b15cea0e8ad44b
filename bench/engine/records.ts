/** Every sample of a full run, one a line, written as it is taken: a run that was stopped goes on from there. */
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
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
}

export class RecordFile {
  records: SampleRecord[] = [];

  /** @param goOn keeps what the file holds */
  constructor(
    private readonly file: string,
    goOn: boolean,
  ) {
    mkdirSync(path.dirname(file), { recursive: true });
    if (!goOn) rmSync(file, { force: true });
    else if (existsSync(file)) for (const record of readRecords(readFileSync(file, 'utf8'))) this.keep(record);
  }

  /** Whether every arm has been measured in a case; arms are compared with their neighbours in time only. */
  holds(wanted: Case, arms: readonly string[]): boolean {
    const found = new Set(this.records.filter((record) => sameCase(record, wanted)).map(({ arm }) => arm));
    return arms.every((arm) => found.has(arm));
  }

  /** All arms of one case at once, in place of an earlier try. */
  add(records: readonly SampleRecord[]): void {
    for (const record of records) this.keep(record);
    appendFileSync(this.file, records.map((record) => `${JSON.stringify(record)}\n`).join(''));
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

/** @throws with the number of a line that is no record */
export function readRecords(text: string): SampleRecord[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line, index) => {
      const value: unknown = JSON.parse(line);
      if (!isRecord(value)) throw new Error(`Line ${index + 1} of the samples is none: run without --resume.`);
      return value;
    });
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

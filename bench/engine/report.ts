/** What the samples of a full run come to: figures by arm and set, ratios to other programs, Markdown, plots. */
import type { PeerMode } from './peer-option';
import { barPlot, linePlot } from './plot';
import { SETS, type PromptSet } from './prompts';
import { sameCase, type SampleRecord } from './records';
import { differs, figures, speedups, type Figures } from './sample';
import { ratio, type Spread } from './statistics';

/** An arm, and the one that its speed and its greedy text are compared with. */
export interface ReportArm {
  readonly name: string;
  readonly plain: string;
  /** A peer's text is compared as far as both go. */
  readonly peer: boolean;
}

export type Group = PromptSet | 'all';

export interface GroupFigures extends Figures {
  /** Tokens/s ÷ plain decoding's. */
  readonly speedup: number;
  /** The same, prompt by prompt. */
  readonly speedupSpread: Spread | null;
  /** Prompts whose text is not the plain one's; null with a temperature. */
  readonly changed: readonly string[] | null;
  /** Most that the arm's process held in memory; null where it could not be read. */
  readonly residentBytes: number | null;
}

export interface Setting {
  readonly temperature: number;
  readonly stopRules: boolean;
  readonly arms: Readonly<Record<string, Partial<Readonly<Record<Group, GroupFigures>>>>>;
  /** `auto` ÷ the fastest mode of each program, by set. */
  readonly againstPeers: readonly AgainstPeer[];
}

export interface AgainstPeer {
  readonly program: string;
  readonly set: Group;
  readonly best: string;
  readonly ratio: number;
}

export function summarizeRecords(
  records: readonly SampleRecord[],
  arms: readonly ReportArm[],
  peers: readonly PeerMode[],
): Setting[] {
  const settings: Setting[] = [];
  for (const temperature of new Set(records.map((each) => each.temperature))) {
    for (const stopRules of [true, false]) {
      const some = records.filter((each) => each.temperature === temperature && each.stopRules === stopRules);
      if (some.length === 0) continue;
      const byArm: Record<string, Partial<Record<Group, GroupFigures>>> = {};
      for (const arm of arms) byArm[arm.name] = armFigures(some, arm);
      settings.push({ temperature, stopRules, arms: byArm, againstPeers: againstPeers(byArm, peers) });
    }
  }
  return settings;
}

function armFigures(records: readonly SampleRecord[], arm: ReportArm): Partial<Record<Group, GroupFigures>> {
  const groups: Partial<Record<Group, GroupFigures>> = {};
  for (const group of [...SETS, 'all'] as const) {
    const inGroup = records.filter(({ set }) => group === 'all' || set === group);
    const plains = inGroup.filter((record) => record.arm === arm.plain);
    const own = inGroup.filter((record) => record.arm === arm.name);
    if (own.length === 0) continue;
    const pairs = own.flatMap((record) => {
      const plain = plains.find((other) => sameCase(other, record));
      return plain === undefined ? [] : [{ prompt: record.prompt, arm: record.sample, plain: plain.sample }];
    });
    const changed = pairs.filter(({ arm: { text }, plain }) =>
      arm.peer ? differs(text, plain.text) : text !== plain.text,
    );
    const armOwn = figures(own.map(({ sample }) => sample));
    const resident = own.flatMap(({ residentBytes }) => residentBytes ?? []);
    const greedy = own.every(({ temperature }) => temperature === 0);
    groups[group] = {
      ...armOwn,
      speedup: ratio(armOwn.tokensPerSecond, figures(plains.map(({ sample }) => sample)).tokensPerSecond),
      speedupSpread: speedups(pairs),
      residentBytes: resident.length === 0 ? null : Math.max(...resident),
      changed: greedy ? [...new Set(changed.map(({ prompt }) => prompt))] : null,
    };
  }
  return groups;
}

function againstPeers(
  arms: Readonly<Record<string, Partial<Readonly<Record<Group, GroupFigures>>>>>,
  peers: readonly PeerMode[],
): AgainstPeer[] {
  const found: AgainstPeer[] = [];
  for (const plain of new Set(peers.map((peer) => peer.plain))) {
    const modes = peers.filter((peer) => peer.plain === plain);
    for (const set of [...SETS, 'all'] as const) {
      const speed = (name: string): number => arms[name]?.[set]?.tokensPerSecond ?? 0;
      const [best] = [...modes].sort((a, b) => speed(b.name) - speed(a.name));
      if (best === undefined || speed(best.name) === 0 || speed('auto') === 0) continue;
      found.push({ program: plain, set, best: best.name, ratio: ratio(speed('auto'), speed(best.name)) });
    }
  }
  return found;
}

/** One table a setting, and below it the ratios to other programs. */
export function markdown(settings: readonly Setting[]): string {
  return settings
    .map(({ temperature, stopRules, arms, againstPeers: ratios }) => {
      const sets = SETS.filter((set) => Object.values(arms).some((groups) => groups[set] !== undefined));
      const head = [
        'arm',
        'tokens/s',
        'to plain (quartiles of the prompts)',
        ...sets,
        'τ',
        'accepted at 1, 2, 3, 4',
        'drafting',
        'verifying',
        'MiB',
        'changed',
      ];
      const rows = Object.entries(arms).flatMap(([name, groups]) => {
        const all = groups.all;
        return all === undefined ? [] : [row(name, all, groups, sets)];
      });
      const title = `Temperature ${temperature}, stop rules ${stopRules ? 'on' : 'off'}`;
      const lines = ratios.map(
        ({ program, set, best, ratio: times }) =>
          `- auto ÷ ${best} (the fastest of ${program}'s modes), ${set}: ${times.toFixed(2)}`,
      );
      return [`### ${title}`, '', table([head, head.map(() => '---'), ...rows]), '', ...lines, ''].join('\n');
    })
    .join('\n');
}

function row(
  name: string,
  all: GroupFigures,
  groups: Partial<Readonly<Record<Group, GroupFigures>>>,
  sets: readonly PromptSet[],
): string[] {
  const percent = (part: number | null): string => (part === null ? '–' : `${Math.round(part * 100)} %`);
  const spread = all.speedupSpread;
  const quartiles = spread === null ? '' : ` (${spread.low.toFixed(2)}–${spread.high.toFixed(2)})`;
  return [
    name,
    all.tokensPerSecond.toFixed(0),
    `${all.speedup.toFixed(2)}${quartiles}`,
    // Nothing was decoded where stop rules left a token at most.
    ...sets.map((set) => groups[set]?.speedup || null).map((speedup) => speedup?.toFixed(2) ?? '–'),
    all.tau.toFixed(2),
    all.acceptanceByPosition.length > 0
      ? all.acceptanceByPosition
          .slice(0, 4)
          .map((part) => part.toFixed(2))
          .join(', ')
      : percent(all.draftAcceptance),
    percent(all.draftShare),
    percent(all.verifyShare),
    all.residentBytes === null ? '–' : String(Math.round(all.residentBytes / 2 ** 20)),
    all.changed === null ? '–' : `${all.changed.length}`,
  ];
}

const table = (rows: readonly (readonly string[])[]): string =>
  rows.map((cells) => `| ${cells.join(' | ')} |`).join('\n');

/** File name ending to SVG: the speed-ups of each setting, and the acceptance by position of the first. */
export function plots(settings: readonly Setting[]): Record<string, string> {
  const files: Record<string, string> = {};
  for (const { temperature, stopRules, arms } of settings) {
    const names = Object.keys(arms).filter((name) => arms[name]?.all !== undefined);
    const groups = ([...SETS, 'all'] as const).flatMap((group) => {
      const bars = names.map((name) => {
        const value = arms[name]?.[group]?.speedup ?? 0;
        const spread = arms[name]?.[group]?.speedupSpread;
        return { value, low: spread?.low ?? value, high: spread?.high ?? value };
      });
      return bars.some(({ value }) => value > 0) ? [{ name: group, bars }] : [];
    });
    const setting = `temperature ${temperature}, stop rules ${stopRules ? 'on' : 'off'}`;
    const ending = `t${temperature}-${stopRules ? 'stop' : 'raw'}`;
    files[`${ending}-speedup`] = barPlot(`Speed to own plain decoding, ${setting}`, names, groups);
    const lines = names.flatMap((name, arm) => {
      const values = arms[name]?.all?.acceptanceByPosition ?? [];
      return values.length > 0 ? [{ name, arm, values }] : [];
    });
    files[`${ending}-acceptance`] = linePlot(`Acceptance by draft position, ${setting}`, lines);
  }
  return files;
}

/** The result as Markdown: one table a task and temperature. */
import type { Arm } from './arms';
import type { Figures } from './figures';
import { TASKS } from './prompts';

export const GROUPS = ['all', ...TASKS] as const;
export type Group = (typeof GROUPS)[number];

export interface ArmResult {
  readonly arm: Arm;
  readonly figures: Readonly<Record<Group, Figures | null>>;
}

const HEAD = [
  'arm',
  'tokens/s',
  'speed-up (quartiles)',
  'accepted a draft',
  'τ',
  'draft acceptance',
  'draft ms',
  'verification ms',
  'draft share',
  'GFLOP a token (to vanilla)',
  'changed',
];

export function markdown(results: readonly ArmResult[]): string {
  const temperatures = [...new Set(results.map(({ arm }) => arm.temperature))];
  const tables = GROUPS.flatMap((group) =>
    temperatures.flatMap((temperature) => {
      const rows = results
        .filter(({ arm }) => arm.temperature === temperature)
        .flatMap(({ arm, figures }) => {
          const own = figures[group];
          return own === null ? [] : [row(arm, own)];
        });
      if (rows.length === 0) return [];
      return [`### ${title(group)}, ${temperature === 0 ? 'greedy' : `temperature ${temperature}`}`, table(rows)];
    }),
  );
  return tables.join('\n\n');
}

function title(group: Group): string {
  switch (group) {
    case 'all':
      return 'Both tasks';
    case 'summarization':
      return 'Summarization';
    case 'open-text':
      return 'Open text';
  }
}

function table(rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(HEAD), line(HEAD.map(() => '---')), ...rows.map(line)].join('\n');
}

function row(arm: Arm, figures: Figures): string[] {
  const { speedup } = figures;
  const number = (value: number | null, digits = 2): string => (value === null ? '–' : value.toFixed(digits));
  return [
    arm.name,
    number(figures.tokensPerSecond, 1),
    speedup === null ? '–' : `${number(speedup.median)} (${number(speedup.lower)}–${number(speedup.upper)})`,
    number(figures.acceptedPerDraft),
    number(figures.tau),
    figures.draftAcceptance === null ? '–' : `${Math.round(100 * figures.draftAcceptance)} %`,
    number(figures.draftMs),
    number(figures.verifyMs),
    `${Math.round(100 * figures.draftShare)} %`,
    `${number(figures.flopsPerToken / 1e9)} (${number(figures.flopsToVanilla)})`,
    figures.changed === null ? '–' : String(figures.changed),
  ];
}

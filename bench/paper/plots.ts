/** Two pictures of a result as SVG: τ over γ × T, and each arm's speed-up. */
import type { ArmResult } from './report';

const FONT = 'font-family="sans-serif" font-size="12" fill="#1f2328"';
const CELL_WIDTH = 64;
const CELL_HEIGHT = 36;
const LEFT = 60;
const TOP = 72;
const GAP = 36;
/** Of a panel, so that its name has room. */
const LEAST_PANEL = 190;

interface Cell {
  readonly length: number;
  readonly steps: number;
  readonly value: number;
}

/** Panels side by side: one for each temperature and rule of SpecDiff; a cell's colour goes from the least τ to the greatest. */
export function heatMap(results: readonly ArmResult[]): string {
  const panels = new Map<string, Cell[]>();
  for (const { arm, figures } of results) {
    if (arm.kind !== 'specdiff' || figures.all === null) continue;
    const name = `${temperatureName(arm.temperature)}${arm.rule === 'paper' ? ', published rule' : ''}`;
    const cells = panels.get(name) ?? [];
    cells.push({ length: arm.length, steps: arm.steps, value: figures.all.tau });
    panels.set(name, cells);
  }
  const all = [...panels.values()].flat();
  const lengths = rising(all.map(({ length }) => length));
  const steps = rising(all.map((cell) => cell.steps));
  const [least, most] = [Math.min(...all.map(({ value }) => value)), Math.max(...all.map(({ value }) => value))];
  const panelWidth = Math.max(LEAST_PANEL, steps.length * CELL_WIDTH);
  const parts = [...panels].flatMap(([name, cells], index) => {
    const x0 = LEFT + index * (panelWidth + GAP);
    const head = [
      text(x0, TOP - 24, name),
      ...steps.map((step, i) => text(x0 + (i + 0.5) * CELL_WIDTH, TOP - 8, `T ${step}`, 'middle')),
    ];
    const squares = cells.flatMap(({ length, steps: step, value }) => {
      const x = x0 + steps.indexOf(step) * CELL_WIDTH;
      const y = TOP + lengths.indexOf(length) * CELL_HEIGHT;
      const share = most > least ? (value - least) / (most - least) : 1;
      return [
        `<rect x="${x}" y="${y}" width="${CELL_WIDTH - 2}" height="${CELL_HEIGHT - 2}" fill="${shade(share)}"/>`,
        text(x + CELL_WIDTH / 2 - 1, y + CELL_HEIGHT / 2 + 4, value.toFixed(2), 'middle'),
      ];
    });
    return [...head, ...squares];
  });
  const rows = lengths.map((length, i) => text(LEFT - 8, TOP + (i + 0.5) * CELL_HEIGHT + 4, `γ ${length}`, 'end'));
  return svg(
    LEFT + panels.size * (panelWidth + GAP),
    TOP + lengths.length * CELL_HEIGHT + 12,
    'τ, tokens emitted per target pass',
    [...rows, ...parts],
  );
}

const BAR_LEFT = 230;
const BAR_WIDTH = 420;
const BAR_HEIGHT = 20;

/** A bar for each arm's median speed-up with its quartiles; the line is vanilla decoding. */
export function speedupBars(results: readonly ArmResult[]): string {
  const bars = results.flatMap(({ arm, figures }) => {
    const speedup = figures.all?.speedup ?? null;
    return arm.kind === 'vanilla' || speedup === null ? [] : [{ arm, speedup }];
  });
  const most = Math.max(1, ...bars.map(({ speedup }) => speedup.upper)) * 1.1;
  const x = (value: number): string => (BAR_LEFT + (value / most) * BAR_WIDTH).toFixed(1);
  const bottom = TOP + bars.length * BAR_HEIGHT;
  const parts = bars.flatMap(({ arm, speedup }, i) => {
    const y = TOP + i * BAR_HEIGHT;
    const middle = y + BAR_HEIGHT / 2 - 1;
    const width = ((speedup.median / most) * BAR_WIDTH).toFixed(1);
    return [
      text(BAR_LEFT - 8, middle + 4, arm.name, 'end'),
      `<rect x="${BAR_LEFT}" y="${y}" width="${width}" height="${BAR_HEIGHT - 4}" fill="${arm.kind === 'standard' ? '#9a6700' : '#54aeff'}"/>`,
      `<line x1="${x(speedup.lower)}" x2="${x(speedup.upper)}" y1="${middle}" y2="${middle}" stroke="#1f2328"/>`,
      text(BAR_LEFT + BAR_WIDTH + 8, middle + 4, speedup.median.toFixed(2)),
    ];
  });
  const line = `<line x1="${x(1)}" x2="${x(1)}" y1="${TOP - 6}" y2="${bottom}" stroke="#cf222e" stroke-dasharray="4 3"/>`;
  return svg(
    BAR_LEFT + BAR_WIDTH + 60,
    bottom + 12,
    'Tokens/s to vanilla decoding: median of the prompts, line from the lower to the upper quartile',
    [...parts, line],
  );
}

const temperatureName = (temperature: number): string => (temperature === 0 ? 'greedy' : `temperature ${temperature}`);

const rising = (values: readonly number[]): number[] => [...new Set(values)].sort((a, b) => a - b);

/** From nearly white to blue. */
function shade(share: number): string {
  const mix = (from: number, to: number): number => Math.round(from + (to - from) * share);
  return `rgb(${mix(246, 84)},${mix(248, 174)},${mix(250, 255)})`;
}

function text(x: number, y: number, content: string, anchor = 'start'): string {
  return `<text x="${x}" y="${y}" text-anchor="${anchor}">${escaped(content)}</text>`;
}

const escaped = (content: string): string =>
  content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

function svg(width: number, height: number, title: string, parts: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="100%" height="100%" fill="#ffffff"/>`,
    `<g ${FONT}>`,
    text(12, 20, title),
    ...parts,
    '</g>',
    '</svg>',
    '',
  ].join('\n');
}

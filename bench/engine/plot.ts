/** Two plots as SVG, self-contained: bars in groups with their quartiles, and lines. */

export interface BarGroup {
  readonly name: string;
  readonly bars: readonly { readonly value: number; readonly low: number; readonly high: number }[];
}

export interface Line {
  readonly name: string;
  /** Number of the arm among the bars' names, for the same colour. */
  readonly arm: number;
  readonly values: readonly number[];
}

const COLOURS = ['#4477aa', '#ee6677', '#228833', '#ccbb44', '#66ccee', '#aa3377', '#bbbbbb', '#333333'];
const WIDTH = 860;
const HEIGHT = 380;
const LEFT = 50;
const TOP = 40;
const RIGHT = 200;
const BOTTOM = 40;
const INNER_WIDTH = WIDTH - LEFT - RIGHT;
const INNER_HEIGHT = HEIGHT - TOP - BOTTOM;

/** @param names of the bars of each group, in order */
export function barPlot(title: string, names: readonly string[], groups: readonly BarGroup[]): string {
  const y = axis(groups.flatMap(({ bars }) => bars.flatMap(({ value, high }) => [value, high])));
  const groupWidth = INNER_WIDTH / Math.max(1, groups.length);
  const barWidth = (groupWidth * 0.85) / Math.max(1, names.length);
  const marks = groups.flatMap(({ name, bars }, group) => {
    const start = LEFT + group * groupWidth + groupWidth * 0.075;
    const label = text(LEFT + (group + 0.5) * groupWidth, TOP + INNER_HEIGHT + 20, name, 'middle');
    return [
      label,
      ...bars.flatMap(({ value, low, high }, index) => {
        const x = start + index * barWidth;
        const middle = x + barWidth / 2;
        const height = TOP + INNER_HEIGHT - y.at(value);
        return [
          `<rect x="${fixed(x)}" y="${fixed(y.at(value))}" width="${fixed(barWidth * 0.9)}" height="${fixed(height)}" fill="${colour(index)}"/>`,
          `<path d="M${fixed(middle)} ${fixed(y.at(low))}V${fixed(y.at(high))}" stroke="#000"/>`,
        ];
      }),
    ];
  });
  const legend = names.map((name, arm) => ({ name, arm }));
  return frame(title, legend, [...y.marks, ...marks]);
}

/** Values against their position, the first being 1. */
export function linePlot(title: string, lines: readonly Line[]): string {
  const y = axis([1, ...lines.flatMap(({ values }) => values)]);
  const positions = Math.max(1, ...lines.map(({ values }) => values.length));
  const x = (index: number): number => LEFT + ((index + 0.5) * INNER_WIDTH) / positions;
  const labels = Array.from({ length: positions }, (_, index) =>
    text(x(index), TOP + INNER_HEIGHT + 20, String(index + 1), 'middle'),
  );
  const paths = lines.map(({ values, arm }) => {
    const points = values.map((value, index) => `${fixed(x(index))},${fixed(y.at(value))}`).join(' ');
    return `<polyline points="${points}" fill="none" stroke="${colour(arm)}" stroke-width="2"/>`;
  });
  return frame(title, lines, [...y.marks, ...labels, ...paths]);
}

function axis(values: readonly number[]): { at: (value: number) => number; marks: string[] } {
  const top = Math.max(...values.filter(Number.isFinite), 0.1) * 1.05;
  const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100].find((each) => top / each <= 8) ?? top / 5;
  const at = (value: number): number => TOP + INNER_HEIGHT * (1 - value / top);
  const marks: string[] = [];
  for (let index = 0; index * step <= top; index++) {
    const height = fixed(at(index * step));
    marks.push(`<path d="M${LEFT} ${height}H${LEFT + INNER_WIDTH}" stroke="#ddd"/>`);
    marks.push(text(LEFT - 6, at(index * step) + 4, String(Number((index * step).toFixed(2))), 'end'));
  }
  return { at, marks };
}

function frame(title: string, names: readonly Pick<Line, 'name' | 'arm'>[], marks: readonly string[]): string {
  const legend = names.flatMap(({ name, arm }, index) => {
    const y = TOP + index * 20;
    return [
      `<rect x="${WIDTH - RIGHT + 14}" y="${y}" width="12" height="12" fill="${colour(arm)}"/>`,
      text(WIDTH - RIGHT + 32, y + 11, name, 'start'),
    ];
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    text(LEFT, 22, title, 'start'),
    ...marks,
    ...legend,
    '</svg>\n',
  ].join('\n');
}

function text(x: number, y: number, content: string, anchor: 'start' | 'middle' | 'end'): string {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${fixed(x)}" y="${fixed(y)}" text-anchor="${anchor}">${escaped}</text>`;
}

function colour(index: number): string {
  return COLOURS[index % COLOURS.length] ?? '#000';
}

function fixed(value: number): string {
  return Number(value.toFixed(1)).toString();
}

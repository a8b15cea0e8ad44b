// The closed formula of docs/paper.md: from which target on a draft pays.

/** Draft lengths that are compared: the best one counts. */
export const DRAFTS = [3, 7, 15];
const STEPS = [1, 2, 4];
const ACCEPTANCE = [0.5, 0.7, 0.8, 0.9];

/** Tokens that a pass emits where each of γ slots is accepted with the same chance, whatever came before. */
export const tokensAPass = (acceptance, slots) =>
  acceptance === 1 ? slots + 1 : (1 - acceptance ** (slots + 1)) / (1 - acceptance);

/**
 * Time of a target's one-row pass from which on a draft of `draftMs` pays: τ > c(n) + draft ÷ pass. Null where
 * τ ≤ c(n): then no target with such a c(n) is large enough.
 */
export const leastPassMs = (tau, cost, draftMs) => (tau > cost ? draftMs / (tau - cost) : null);

/** The straight line through points [x, y] with the least squares of its error: [y at 0, slope]. */
export function line(points) {
  const mean = (of) => points.reduce((sum, point) => sum + of(point), 0) / points.length;
  const [x, y] = [mean(([a]) => a), mean(([, b]) => b)];
  const slope = mean(([a, b]) => (a - x) * (b - y)) / mean(([a]) => (a - x) ** 2);
  return [y - slope * x, slope];
}

/** Time of a draft: its steps, and τ rows of the text that the last pass has emitted, read with the first. */
const draftTime = (times, slots, steps, tau) =>
  steps * times[slots].least + (tau * (times[15].least - times[7].least)) / 8;

/** Draft lengths that can have so many steps. */
const drafts = (steps) => DRAFTS.filter((slots) => slots >= steps);

/**
 * For every drafter, number of steps and acceptance the draft length that pays on the smallest target, with its τ, and
 * that target; null where none pays. c(n) is the mean of the targets measured, and a pass's time is taken as a straight
 * line over their parameters.
 */
export function breakEven({ targets, drafters }) {
  const [base, slope] = line(targets.map(({ billions, times }) => [billions, times[1].least]));
  const cost = (rows) => targets.reduce((sum, { times }) => sum + costOf(times, rows), 0) / targets.length;
  return combinations(drafters).map(({ name, times, steps, acceptance }) => {
    const ways = drafts(steps).map((slots) => {
      const tau = tokensAPass(acceptance, slots);
      return { slots, tau, passMs: leastPassMs(tau, cost(slots + 1), draftTime(times, slots, steps, tau)) };
    });
    const [best] = ways.filter(({ passMs }) => passMs !== null).sort((a, b) => a.passMs - b.passMs);
    const whole = best === undefined ? null : { ...best, billions: (best.passMs - base) / slope };
    return { drafter: name, steps, acceptance, best: whole };
  });
}

/** For every drafter, target, number of steps and acceptance the best speed-up, τ ÷ (c(n) + d), and its draft length. */
export function speedups({ targets, drafters }) {
  return combinations(drafters).flatMap(({ name, times, steps, acceptance }) =>
    targets.map((target) => {
      const ways = drafts(steps).map((slots) => {
        const tau = tokensAPass(acceptance, slots);
        const draft = draftTime(times, slots, steps, tau) / target.times[1].least;
        return { slots, speedup: tau / (costOf(target.times, slots + 1) + draft) };
      });
      const [best] = ways.sort((a, b) => b.speedup - a.speedup);
      return { drafter: name, target: target.name, steps, acceptance, ...best };
    }),
  );
}

/** c(n) */
const costOf = (times, rows) => times[rows].least / times[1].least;

const combinations = (drafters) =>
  drafters.flatMap((drafter) =>
    STEPS.flatMap((steps) => ACCEPTANCE.map((acceptance) => ({ ...drafter, steps, acceptance }))),
  );

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

/**
 * For every drafter, number of steps and acceptance the draft length that pays on the smallest target, with its τ, and
 * that target; null where none pays. c(n) is the mean of the targets measured; a pass's time is taken as a straight line
 * over their parameters, a draft's as that of its steps.
 */
export function breakEven({ targets, drafters }) {
  const [base, slope] = line(targets.map(({ billions, times }) => [billions, times[1].least]));
  const cost = (rows) =>
    targets.reduce((sum, { times }) => sum + times[rows].least / times[1].least, 0) / targets.length;
  const found = [];
  for (const { name, times } of drafters) {
    for (const steps of STEPS) {
      for (const acceptance of ACCEPTANCE) {
        const ways = DRAFTS.filter((slots) => slots >= steps).map((slots) => {
          const tau = tokensAPass(acceptance, slots);
          return { slots, tau, passMs: leastPassMs(tau, cost(slots + 1), steps * times[slots].least) };
        });
        const [best] = ways.filter(({ passMs }) => passMs !== null).sort((a, b) => a.passMs - b.passMs);
        const whole = best === undefined ? null : { ...best, billions: (best.passMs - base) / slope };
        found.push({ drafter: name, steps, acceptance, best: whole });
      }
    }
  }
  return found;
}

/** Pearson's chi-square test of counts against exact probabilities. */

/** ln Γ(x) for x > 0 (Lanczos approximation, g = 7, n = 9). */
function lnGamma(x: number): number {
  const coefficients = [
    0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
    12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
  ];
  const t = x + 6.5;
  const sum = coefficients.reduce((total, c, i) => (i === 0 ? c : total + c / (x - 1 + i)), 0);
  return 0.5 * Math.log(2 * Math.PI) + (x - 0.5) * Math.log(t) - t + Math.log(sum);
}

/** Upper regularized incomplete gamma function Q(a, x): series below a + 1, continued fraction (Lentz) above. */
function upperGamma(a: number, x: number): number {
  if (x <= 0) return 1;
  const front = Math.exp(a * Math.log(x) - x - lnGamma(a));
  if (x < a + 1) {
    let term = 1 / a;
    let sum = term;
    for (let n = 1; n < 10_000 && Math.abs(term) > Math.abs(sum) * 1e-15; n += 1) {
      term *= x / (a + n);
      sum += term;
    }
    return 1 - sum * front;
  }
  let b = x + 1 - a;
  let c = 1e300;
  let d = 1 / b;
  let h = d;
  for (let n = 1; n < 10_000; n += 1) {
    const an = -n * (n - a);
    b += 2;
    d = 1 / (an * d + b);
    c = b + an / c;
    h *= d * c;
    if (Math.abs(d * c - 1) < 1e-15) break;
  }
  return front * h;
}

export interface ChiSquare {
  readonly statistic: number;
  readonly degrees: number;
  readonly p: number;
}

/** Cells expected fewer than five times are pooled. A count where nothing may be gives p = 0. */
export function chiSquare(counts: ArrayLike<number>, probabilities: ArrayLike<number>): ChiSquare {
  let total = 0;
  for (let i = 0; i < counts.length; i += 1) total += counts[i] ?? 0;
  let statistic = 0;
  let cells = 0;
  let pooledCount = 0;
  let pooledExpected = 0;
  for (let i = 0; i < counts.length; i += 1) {
    const count = counts[i] ?? 0;
    const expected = (probabilities[i] ?? 0) * total;
    if (expected === 0 && count > 0) return { statistic: Infinity, degrees: cells, p: 0 };
    if (expected < 5) {
      pooledCount += count;
      pooledExpected += expected;
    } else {
      statistic += (count - expected) ** 2 / expected;
      cells += 1;
    }
  }
  if (pooledExpected > 0) {
    statistic += (pooledCount - pooledExpected) ** 2 / pooledExpected;
    cells += 1;
  }
  const degrees = cells - 1;
  return { statistic, degrees, p: upperGamma(degrees / 2, statistic / 2) };
}

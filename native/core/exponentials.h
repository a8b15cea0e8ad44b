#pragma once

namespace specdiff {

/**
 * to[i] = exp((x[i] − greatest) · scale), within 3·10^-7 of it, for exponents of at most 0; exactly 0 below −87 (where
 * results stop being normal numbers) and for −∞; NaN stays NaN. Four times as fast as std::exp one by one: a vocabulary
 * of 49,152 tokens takes 0.05 instead of 0.2 ms, and a small target's pass 2 ms.
 *
 * @returns their sum
 */
double exponentials(const float* x, int size, float greatest, float scale, float* to);

} // namespace specdiff

// Loops over constants, for kernels that keep arrays of registers.
#pragma once

#include <utility>

#define SPECDIFF_INLINE __attribute__((always_inline))

namespace specdiff::kernels {

template <class F, int... I>
SPECDIFF_INLINE inline void unroll_indices([[maybe_unused]] F f, std::integer_sequence<int, I...>) {
    (f(std::integral_constant<int, I>()), ...);
}

/**
 * Calls f(0) … f(N − 1) with constant indices: arrays of registers stay in registers, which they don't in loops that
 * the compiler unrolls only after it has placed the arrays in memory (GCC 12: a load and a store more per row and
 * block).
 */
template <int N, class F> SPECDIFF_INLINE inline void unroll(F f) {
    unroll_indices(f, std::make_integer_sequence<int, N>());
}

} // namespace specdiff::kernels

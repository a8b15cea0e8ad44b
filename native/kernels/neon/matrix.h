#pragma once

#include "../kernel_table.h"

namespace specdiff::kernels::neon {

/** Blocks whose weights stay in the first-level cache while the panel's parts pass one after the other. */
constexpr int64_t CHUNK = 8;

/** Parts of a panel computed at a time, so that the sums of all rows fill 16 of the 32 registers. */
constexpr int parts_at_once(int rows) {
    return rows <= 4 ? 4 : rows <= 8 ? 2 : 1;
}

/** With sdot: 4 output rows × 4 weights. */
template <Layout L> MatrixKernels dotprod_kernels();

/** With smmla: 2 output rows × 8 weights × 2 activation rows; below four rows, where rearranging costs more, sdot. */
template <Layout L> MatrixKernels i8mm_kernels();

} // namespace specdiff::kernels::neon

// The last panel of a matrix whose rows are no multiple of a panel's.
#pragma once

#include "panel.h"

#include <algorithm>
#include <cstddef>

namespace specdiff::kernels {

/** Copies what the last panel holds, of [rows × PANEL_ROWS] products, to its place in rows of `outputs` floats. */
inline void copy_last(const float* products, int64_t rows, float* to, int64_t outputs) {
    for (int64_t row = 0; row < rows; ++row)
        std::copy_n(products + row * PANEL_ROWS, outputs % PANEL_ROWS, to + row * outputs);
}

} // namespace specdiff::kernels

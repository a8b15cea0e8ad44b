// Rows of a tensor with any strides.
#pragma once

#include <ggml.h>

namespace specdiff::kernels {

/** Row `row` of `x`, counted over its dimensions 1 to 3. */
inline const char* source_row(const ggml_tensor* x, int64_t row) {
    const int64_t i1 = row % x->ne[1], i2 = row / x->ne[1] % x->ne[2], i3 = row / (x->ne[1] * x->ne[2]);
    return static_cast<const char*>(x->data) + i1 * x->nb[1] + i2 * x->nb[2] + i3 * x->nb[3];
}

} // namespace specdiff::kernels

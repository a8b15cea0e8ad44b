// GGML_OP_RMS_NORM times a vector.
#pragma once

#include <ggml.h>

#include <cstdint>

namespace specdiff::kernels {

/**
 * Tokens [begin, end) of dimension 1 or 2 of x / sqrt(mean(x²) + epsilon) · weights, of `norm`'s source to `product`'s
 * place. Squares are added in 16 sums of floats, where llama.cpp adds one double after the other: 3 % of a pass of
 * eight rows.
 */
void rms_norm_times(const ggml_tensor* norm, const ggml_tensor* product, int dimension, int64_t begin, int64_t end);

/** Whether rms_norm_times computes these two operations, the second of which is the only reader of the first. */
bool is_rms_norm_times(const ggml_tensor* norm, const ggml_tensor* product);

} // namespace specdiff::kernels

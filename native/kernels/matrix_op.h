// GGML_OP_MUL_MAT on repacked weights.
#pragma once

#include "kernel_table.h"
#include "products.h"

#include <ggml.h>

#include <cstddef>

struct ggml_compute_params;

namespace specdiff::kernels {

/** Bytes of working memory for `op` on `threads` threads. */
size_t matrix_work_bytes(const MatrixKernels& kernels, const ggml_tensor* op, int threads);

/**
 * Computes this thread's part of the products; src[0] holds panels, src[1] floats. Of several products each has a
 * multiple of 16 outputs. Needs the working memory of one of them.
 */
void compute_matrices(const MatrixKernels& kernels, const ggml_compute_params* params, const Products& products);

} // namespace specdiff::kernels

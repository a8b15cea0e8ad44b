// GGML_OP_MUL_MAT on repacked weights.
#pragma once

#include "kernel_table.h"
#include "panel.h"

#include <ggml.h>

#include <cstddef>

struct ggml_compute_params;

namespace specdiff::kernels {

/** Bytes of working memory for `op` on `threads` threads. */
size_t matrix_work_bytes(const MatrixKernels& kernels, const ggml_tensor* op, int threads);

/** Computes this thread's part of `op`; src[0] holds panels, src[1] floats. */
void compute_matrix(const MatrixKernels& kernels, const ggml_compute_params* params, ggml_tensor* op);

} // namespace specdiff::kernels

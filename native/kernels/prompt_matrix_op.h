// GGML_OP_MUL_MAT on repacked weights for a prompt's rows.
#pragma once

#include "kernel_table.h"
#include "products.h"

#include <ggml.h>

#include <cstddef>

struct ggml_compute_params;

namespace specdiff::kernels {

/** Whether `op` has more rows than a verification and `kernels` serve such. */
bool is_prompt(const MatrixKernels& kernels, const ggml_tensor* op);

/** As in matrix_op.h, for what is_prompt. */
size_t prompt_matrix_work_bytes(const MatrixKernels& kernels, const ggml_tensor* op, int threads);
void compute_prompt_matrices(const MatrixKernels& kernels, const ggml_compute_params* params, const Products& products);

} // namespace specdiff::kernels

// GGML_OP_FILL over contiguous f32: llama.cpp's works row by row, and a drafter with a reduced vocabulary has rows of
// one element (49,152 of them a slot on the default model: a third of a draft's time).
#pragma once

#include <ggml.h>

struct ggml_compute_params;

namespace specdiff::kernels {

bool fill_is_ours(const ggml_tensor* op);

/** Fills this thread's share of `op`. */
void compute_fill(const ggml_compute_params* params, ggml_tensor* op);

} // namespace specdiff::kernels

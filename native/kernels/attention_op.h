// GGML_OP_FLASH_ATTN_EXT: which of them are ours, and how their rows are shared between threads.
#pragma once

#include "kernel_table.h"

#include <ggml.h>

#include <cstddef>

struct ggml_compute_params;

namespace specdiff::kernels {

/** Head sizes 64–256 in steps of 16, f16 or q8_0 cache, no ALiBi, soft cap or sinks; the rest is llama.cpp's own. */
bool attention_is_ours(const ggml_tensor* op);

/** Bytes of working memory for `op` on `threads` threads. */
size_t attention_work_bytes(const KernelTable& kernels, const ggml_tensor* op, int threads);

/** Computes this thread's rows of `op`. */
void compute_attention(const KernelTable& kernels, const ggml_compute_params* params, ggml_tensor* op);

} // namespace specdiff::kernels

// Kernels for prompts: batches of more rows than any verification has, where another rounding costs nothing that we
// promise.
#pragma once

#include <cstddef>
#include <cstdint>

namespace specdiff::kernels {

/**
 * Rows up to which a row's bits don't depend on the batch: a verification's, chain or tree. Prompts' kernels take what
 * is above: their rows, too, have the same bits in every batch of theirs, but not those of a smaller one.
 */
constexpr int64_t INVARIANT_ROWS = 72;

/** Matrix kernels of one layout for prompts; panels as everywhere (panel.h), activations as `pack` stores them. */
struct PromptKernels {
    /** Bytes of `rows` packed rows of `blocks` blocks. */
    size_t (*packed_bytes)(int64_t rows, int64_t blocks);
    /** Bytes of a thread's working memory; like `packed` aligned to 64. */
    size_t scratch_bytes;
    /** Packs row `row`. A NaN or infinity makes the row's products NaN. */
    void (*pack)(const float* x, int64_t blocks, int64_t row, void* packed);
    /** out[row · out_stride + panel · 16 + 0..15] for `panels` panels that lie one after the other. */
    void (*multiply)(const void* weights, int64_t panels, int64_t blocks, const void* packed, int64_t rows, float* out,
                     size_t out_stride, void* scratch);
};

struct Attention;

/** Attention for prompts; `Attention` and heads as in kernel_table.h. */
struct PromptAttention {
    /** Rows of one call at most; `dim` must be a multiple of `dim_step`. */
    int most_rows, dim_step;
    /** Bytes of scratch that `attend` needs (64-byte aligned). */
    size_t (*scratch_bytes)(int dim);
    void (*attend)(const Attention& a, int cache_head, int begin, int end, void* scratch);
};

} // namespace specdiff::kernels

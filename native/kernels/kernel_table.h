// The kernels of one instruction set, as the operations see them.
#pragma once

#include "panel.h"
#include "prompt_kernels.h"

namespace specdiff::kernels {

/** Matrix kernels of one layout. An activation tile of `rows` rows is stored block by block: tile[block · rows + row].
 */
struct MatrixKernels {
    size_t panel_block_bytes;
    size_t activation_block_bytes;
    /** Quantizes 32 floats to one activation block. A NaN or infinity makes the block's scale NaN. */
    void (*quantize)(const float* x, void* block);
    /** multiply[rows − 1]: out[row · out_stride + 0..15] = panel · tile, for `blocks` blocks; meanwhile `next`, the
     * panel that is multiplied then, may be fetched. */
    void (*multiply[MAX_TILE])(const void* panel, int64_t blocks, const void* tile, float* out, size_t out_stride,
                               const void* next);
    /** For more than INVARIANT_ROWS rows; null: `multiply` serves them too. */
    const PromptKernels* prompt = nullptr;
};

enum class CacheType { f16, q8_0 };

/** One attention operation; strides in bytes. q: [n][heads][dim] floats, out: [n][heads][dim] floats, contiguous. */
struct Attention {
    const char *q, *k, *v, *mask; // mask: f16 [n][cells] or null
    char* out;
    size_t q_row, q_head, k_cell, k_head, v_cell, v_head, mask_row, out_head;
    int dim, n, heads, group, cells; // group: query heads per cache head; dim and cells: multiples of 16
    float scale;
    CacheType type;
};

/** Rows of one call at most, so that their scores stay in the second-level cache (1 MB) up to 8,192 cells. */
constexpr int attention_chunk(int64_t cells) {
    return cells <= 2048 ? 64 : cells <= 4096 ? 32 : 16;
}

struct KernelTable {
    const char* name;
    MatrixKernels matrix[6]; // by Layout
    /** Rows [begin, end) of a cache head; row = token · group + head in the group; end − begin ≤
     * attention_chunk(cells). */
    void (*attend)(const Attention& a, int cache_head, int begin, int end, void* scratch);
    /** Bytes of scratch that attend needs (64-byte aligned). */
    size_t (*attention_scratch)(int dim, int64_t cells);
    /** For more than INVARIANT_ROWS tokens; null: `attend` serves them too. */
    const PromptAttention* prompt_attention = nullptr;
};

} // namespace specdiff::kernels

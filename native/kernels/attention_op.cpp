#include "attention_op.h"

#include <ggml-cpu-impl.h>

#include <algorithm>
#include <cstring>

namespace specdiff::kernels {

namespace {

constexpr int LEAST_DIM = 64, MOST_DIM = 256, DIM_STEP = 16, CELL_STEP = 16;
/**
 * Up to this many rows (72 tokens, 8 heads a group) the threads take equal shares at once; above, where causal masks
 * make shares unequal, they take chunks as they get done, which costs a barrier.
 */
constexpr int64_t SHARED_EVENLY = INVARIANT_ROWS;
/** Pieces a thread, where threads take them as they get done. */
constexpr int64_t PIECES = 4;

float parameter(const ggml_tensor* op, int index) {
    float value;
    std::memcpy(&value, reinterpret_cast<const float*>(op->op_params) + index, sizeof(value));
    return value;
}

Attention describe(const ggml_tensor* op) {
    const auto *q = op->src[0], *k = op->src[1], *v = op->src[2], *mask = op->src[3];
    Attention a{};
    a.q = static_cast<const char*>(q->data);
    a.k = static_cast<const char*>(k->data);
    a.v = static_cast<const char*>(v->data);
    a.mask = mask != nullptr ? static_cast<const char*>(mask->data) : nullptr;
    a.out = static_cast<char*>(op->data);
    a.q_row = q->nb[1];
    a.q_head = q->nb[2];
    a.k_cell = k->nb[1];
    a.k_head = k->nb[2];
    a.v_cell = v->nb[1];
    a.v_head = v->nb[2];
    a.mask_row = mask != nullptr ? mask->nb[1] : 0;
    a.out_head = op->nb[1];
    a.dim = static_cast<int>(q->ne[0]);
    a.n = static_cast<int>(q->ne[1]);
    a.heads = static_cast<int>(q->ne[2]);
    a.group = static_cast<int>(q->ne[2] / k->ne[2]);
    a.cells = static_cast<int>(k->ne[1]);
    a.scale = parameter(op, 0);
    a.type = k->type == GGML_TYPE_F16 ? CacheType::f16 : CacheType::q8_0;
    return a;
}

/** The kernels for prompts where `op` is one that they serve, else null. */
const PromptAttention* prompt_kernels(const KernelTable& kernels, const ggml_tensor* op) {
    const auto* prompt = kernels.prompt_attention;
    const bool serves =
        prompt != nullptr && op->src[0]->ne[1] > INVARIANT_ROWS && op->src[0]->ne[0] % prompt->dim_step == 0;
    return serves ? prompt : nullptr;
}

size_t scratch_bytes(const KernelTable& kernels, const ggml_tensor* op) {
    const auto dim = static_cast<int>(op->src[0]->ne[0]);
    const auto* prompt = prompt_kernels(kernels, op);
    const size_t bytes =
        prompt != nullptr ? prompt->scratch_bytes(dim) : kernels.attention_scratch(dim, op->src[1]->ne[1]);
    return (bytes + 4095) / 4096 * 4096;
}

/** Rows of a piece: as many as the kernel takes, as few as give every thread some. */
int64_t prompt_chunk(const PromptAttention& prompt, int64_t rows, int64_t threads) {
    const int64_t even = (rows / (PIECES * threads) + PANEL_ROWS - 1) / PANEL_ROWS * PANEL_ROWS;
    return std::clamp<int64_t>(even, PANEL_ROWS, prompt.most_rows);
}

} // namespace

bool attention_is_ours(const ggml_tensor* op) {
    const auto *q = op->src[0], *k = op->src[1], *v = op->src[2], *mask = op->src[3];
    const bool types = q->type == GGML_TYPE_F32 && (k->type == GGML_TYPE_F16 || k->type == GGML_TYPE_Q8_0) &&
                       v->type == k->type && (mask == nullptr || mask->type == GGML_TYPE_F16);
    const bool plain = parameter(op, 1) == 0.0f && parameter(op, 2) == 0.0f && op->src[4] == nullptr;
    const bool shapes = q->ne[0] >= LEAST_DIM && q->ne[0] <= MOST_DIM && q->ne[0] % DIM_STEP == 0 &&
                        k->ne[0] == q->ne[0] && v->ne[0] == q->ne[0] && q->ne[3] == 1 && k->ne[2] == v->ne[2] &&
                        q->ne[2] % k->ne[2] == 0 && k->ne[1] % CELL_STEP == 0 && k->ne[1] > 0 &&
                        (k->type == GGML_TYPE_F16 || q->ne[0] % 32 == 0) &&
                        (mask == nullptr || (mask->ne[2] == 1 && mask->ne[3] == 1));
    const bool strides = q->nb[0] == sizeof(float) && k->nb[0] == ggml_type_size(k->type) &&
                         v->nb[0] == ggml_type_size(v->type) &&
                         op->nb[1] == static_cast<size_t>(op->ne[0]) * sizeof(float);
    return types && plain && shapes && strides;
}

size_t attention_work_bytes(const KernelTable& kernels, const ggml_tensor* op, int threads) {
    return scratch_bytes(kernels, op) * static_cast<size_t>(threads) + 64;
}

void compute_attention(const KernelTable& kernels, const ggml_compute_params* params, ggml_tensor* op) {
    const Attention a = describe(op);
    const int64_t ith = params->ith, nth = params->nth;
    const auto aligned = (reinterpret_cast<uintptr_t>(params->wdata) + 63) / 64 * 64;
    void* scratch = reinterpret_cast<char*>(aligned) + static_cast<size_t>(ith) * scratch_bytes(kernels, op);
    const int64_t rows = static_cast<int64_t>(a.n) * a.group, heads = op->src[1]->ne[2];
    const auto* prompt = prompt_kernels(kernels, op);
    const auto attend = prompt != nullptr ? prompt->attend : kernels.attend;
    const int64_t chunk = prompt != nullptr ? prompt_chunk(*prompt, rows * heads, nth) : attention_chunk(a.cells);

    if (a.n <= SHARED_EVENLY) {
        const int64_t end = heads * rows * (ith + 1) / nth;
        for (int64_t i = heads * rows * ith / nth; i < end;) {
            const int64_t first = i % rows, last = std::min({rows, first + chunk, first + end - i});
            attend(a, static_cast<int>(i / rows), static_cast<int>(first), static_cast<int>(last), scratch);
            i += last - first;
        }
        return;
    }
    if (ith == 0) ggml_threadpool_chunk_set(params->threadpool, params->nth);
    ggml_barrier(params->threadpool);
    const int64_t chunks = (rows + chunk - 1) / chunk;
    for (int64_t i = ith; i < heads * chunks; i = ggml_threadpool_chunk_add(params->threadpool, 1)) {
        // The last tokens see most cells: first, so that no thread ends with a long chunk.
        const int64_t first = (chunks - 1 - i / heads) * chunk, last = std::min(rows, first + chunk);
        attend(a, static_cast<int>(i % heads), static_cast<int>(first), static_cast<int>(last), scratch);
    }
}

} // namespace specdiff::kernels

#include "prompt_matrix_op.h"

#include "last_panel.h"
#include "shares.h"
#include "source_row.h"

#include <ggml-cpu-impl.h>

#include <algorithm>

namespace specdiff::kernels {

namespace {

constexpr size_t ALIGNMENT = 64;

size_t padded(size_t bytes) {
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

struct Shape {
    int64_t rows, blocks;
    size_t panel_bytes, packed_bytes, scratch_bytes, last_bytes; // last: products of a last panel of fewer rows

    Shape(const MatrixKernels& kernels, const ggml_tensor* op)
        : rows(ggml_nrows(op->src[1])), blocks(op->src[0]->ne[0] / BLOCK),
          panel_bytes(static_cast<size_t>(blocks) * kernels.panel_block_bytes),
          packed_bytes(padded(kernels.prompt->packed_bytes(rows, blocks))),
          scratch_bytes(padded(kernels.prompt->scratch_bytes)),
          last_bytes(whole_panels(op) == panels_of(op->src[0]->ne[1])
                         ? 0
                         : static_cast<size_t>(rows) * PANEL_ROWS * sizeof(float)) {}

    /** Panels without a last one of fewer rows. */
    static int64_t whole_panels(const ggml_tensor* op) { return op->src[0]->ne[1] / PANEL_ROWS; }
};

} // namespace

bool is_prompt(const MatrixKernels& kernels, const ggml_tensor* op) {
    return kernels.prompt != nullptr && ggml_nrows(op->src[1]) > INVARIANT_ROWS;
}

size_t prompt_matrix_work_bytes(const MatrixKernels& kernels, const ggml_tensor* op, int threads) {
    const Shape shape(kernels, op);
    return ALIGNMENT + shape.packed_bytes + shape.last_bytes + shape.scratch_bytes * static_cast<size_t>(threads);
}

void compute_prompt_matrices(const MatrixKernels& kernels, const ggml_compute_params* params,
                             const Products& products) {
    const ggml_tensor* x = products.ops[0]->src[1];
    const Shape shape(kernels, products.ops[0]);
    const int64_t ith = params->ith, nth = params->nth;
    auto* memory = static_cast<char*>(params->wdata);
    memory += padded(reinterpret_cast<uintptr_t>(memory)) - reinterpret_cast<uintptr_t>(memory);
    for (int64_t row = shape.rows * ith / nth; row < shape.rows * (ith + 1) / nth; ++row)
        kernels.prompt->pack(reinterpret_cast<const float*>(source_row(x, row)), shape.blocks, row, memory);
    ggml_barrier(params->threadpool);
    char* filled = memory + shape.packed_bytes;
    char* scratch = filled + shape.last_bytes + shape.scratch_bytes * static_cast<size_t>(ith);
    const auto multiply = [&](const ggml_tensor* op, int64_t first, int64_t last) {
        const auto* weights = static_cast<const char*>(op->src[0]->data);
        const auto panel = [&](int64_t index) { return weights + static_cast<size_t>(index) * shape.panel_bytes; };
        auto* out = static_cast<float*>(op->data);
        const int64_t outputs = op->src[0]->ne[1], whole = std::min(last, Shape::whole_panels(op));
        kernels.prompt->multiply(panel(first), whole - first, shape.blocks, memory, shape.rows,
                                 out + first * PANEL_ROWS, static_cast<size_t>(outputs), scratch);
        if (whole == last) return;
        auto* rest = reinterpret_cast<float*>(filled);
        kernels.prompt->multiply(panel(whole), 1, shape.blocks, memory, shape.rows, rest, PANEL_ROWS, scratch);
        copy_last(rest, shape.rows, out + whole * PANEL_ROWS, outputs);
    };
    constexpr int64_t PAIR = 2; // kernels take two panels at once
    share(params, products.units(PAIR),
          [&](int64_t begin, int64_t end, const auto& /*take*/) { products.each(PAIR, begin, end, multiply); });
}

} // namespace specdiff::kernels

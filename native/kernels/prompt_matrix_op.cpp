#include "prompt_matrix_op.h"

#include "last_panel.h"
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
    int64_t rows, blocks, outputs, panels;
    size_t panel_bytes, packed_bytes, scratch_bytes, last_bytes; // last: products of a last panel of fewer rows

    Shape(const MatrixKernels& kernels, const ggml_tensor* op)
        : rows(ggml_nrows(op->src[1])), blocks(op->src[0]->ne[0] / BLOCK), outputs(op->src[0]->ne[1]),
          panels(panels_of(outputs)), panel_bytes(static_cast<size_t>(blocks) * kernels.panel_block_bytes),
          packed_bytes(padded(kernels.prompt->packed_bytes(rows, blocks))),
          scratch_bytes(padded(kernels.prompt->scratch_bytes)),
          last_bytes(whole() == panels ? 0 : static_cast<size_t>(rows) * PANEL_ROWS * sizeof(float)) {}

    /** Panels without a last one of fewer rows. */
    int64_t whole() const { return outputs / PANEL_ROWS; }
};

} // namespace

bool is_prompt(const MatrixKernels& kernels, const ggml_tensor* op) {
    return kernels.prompt != nullptr && ggml_nrows(op->src[1]) > INVARIANT_ROWS;
}

size_t prompt_matrix_work_bytes(const MatrixKernels& kernels, const ggml_tensor* op, int threads) {
    const Shape shape(kernels, op);
    return ALIGNMENT + shape.packed_bytes + shape.last_bytes + shape.scratch_bytes * static_cast<size_t>(threads);
}

void compute_prompt_matrix(const MatrixKernels& kernels, const ggml_compute_params* params, ggml_tensor* op) {
    const Shape shape(kernels, op);
    const int64_t ith = params->ith, nth = params->nth;
    auto* memory = static_cast<char*>(params->wdata);
    memory += padded(reinterpret_cast<uintptr_t>(memory)) - reinterpret_cast<uintptr_t>(memory);
    for (int64_t row = shape.rows * ith / nth; row < shape.rows * (ith + 1) / nth; ++row) {
        const auto* x = reinterpret_cast<const float*>(source_row(op->src[1], row));
        kernels.prompt->pack(x, shape.blocks, row, memory);
    }
    if (ith == 0) ggml_threadpool_chunk_set(params->threadpool, params->nth);
    ggml_barrier(params->threadpool);
    char* filled = memory + shape.packed_bytes;
    char* scratch = filled + shape.last_bytes + shape.scratch_bytes * static_cast<size_t>(ith);
    const auto* weights = static_cast<const char*>(op->src[0]->data);
    auto* out = static_cast<float*>(op->data);
    // Pieces as in matrix_op.cpp, of an even number of panels: kernels take two at once.
    const int64_t pairs = (shape.panels + 1) / 2, pieces = std::min(pairs, nth * 8);
    for (int64_t piece = ith; piece < pieces; piece = ggml_threadpool_chunk_add(params->threadpool, 1)) {
        const int64_t first = pairs * piece / pieces * 2,
                      last = std::min(shape.panels, pairs * (piece + 1) / pieces * 2),
                      whole = std::min(last, shape.whole());
        const auto weights_of = [&](int64_t panel) { return weights + static_cast<size_t>(panel) * shape.panel_bytes; };
        kernels.prompt->multiply(weights_of(first), whole - first, shape.blocks, memory, shape.rows,
                                 out + first * PANEL_ROWS, static_cast<size_t>(shape.outputs), scratch);
        if (whole == last) continue;
        auto* products = reinterpret_cast<float*>(filled);
        kernels.prompt->multiply(weights_of(whole), 1, shape.blocks, memory, shape.rows, products, PANEL_ROWS, scratch);
        copy_last(products, shape.rows, out + whole * PANEL_ROWS, shape.outputs);
    }
}

} // namespace specdiff::kernels

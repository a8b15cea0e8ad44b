#include "prompt_matrix_op.h"

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
    int64_t rows, blocks, panels;
    size_t panel_bytes, packed_bytes, scratch_bytes;

    Shape(const MatrixKernels& kernels, const ggml_tensor* op)
        : rows(ggml_nrows(op->src[1])), blocks(op->src[0]->ne[0] / BLOCK), panels(op->src[0]->ne[1] / PANEL_ROWS),
          panel_bytes(static_cast<size_t>(blocks) * kernels.panel_block_bytes),
          packed_bytes(padded(kernels.prompt->packed_bytes(rows, blocks))),
          scratch_bytes(padded(kernels.prompt->scratch_bytes)) {}
};

} // namespace

bool is_prompt(const MatrixKernels& kernels, const ggml_tensor* op) {
    return kernels.prompt != nullptr && ggml_nrows(op->src[1]) > INVARIANT_ROWS;
}

size_t prompt_matrix_work_bytes(const MatrixKernels& kernels, const ggml_tensor* op, int threads) {
    const Shape shape(kernels, op);
    return ALIGNMENT + shape.packed_bytes + shape.scratch_bytes * static_cast<size_t>(threads);
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
    char* scratch = memory + shape.packed_bytes + shape.scratch_bytes * static_cast<size_t>(ith);
    const auto* weights = static_cast<const char*>(op->src[0]->data);
    auto* out = static_cast<float*>(op->data);
    // Pieces as in matrix_op.cpp, of an even number of panels: kernels take two at once.
    const int64_t pairs = (shape.panels + 1) / 2, pieces = std::min(pairs, nth * 8);
    for (int64_t piece = ith; piece < pieces; piece = ggml_threadpool_chunk_add(params->threadpool, 1)) {
        const int64_t first = pairs * piece / pieces * 2,
                      last = std::min(shape.panels, pairs * (piece + 1) / pieces * 2);
        kernels.prompt->multiply(weights + static_cast<size_t>(first) * shape.panel_bytes, last - first, shape.blocks,
                                 memory, shape.rows, out + first * PANEL_ROWS,
                                 static_cast<size_t>(shape.panels) * PANEL_ROWS, scratch);
    }
}

} // namespace specdiff::kernels

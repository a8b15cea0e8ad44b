#include "matrix_op.h"

#include "last_panel.h"
#include "prompt_matrix_op.h"
#include "source_row.h"

#include <ggml-cpu-impl.h>

#include <algorithm>
#include <array>

namespace specdiff::kernels {

namespace {

/**
 * Up to this many activations every thread quantizes all of them for itself: 0.3 µs, less than the barrier it saves
 * (8 % of a single-token step went into barriers).
 */
constexpr int64_t PRIVATE_ACTIVATIONS = 2048;
/** Tiles whose activations stay in the second-level cache while a group of panels passes: 4 × 16 rows × 1,536 × 1.25 B.
 */
constexpr int64_t TILES_IN_CACHE = 4;

struct Shape {
    int64_t columns, rows, blocks, outputs, panels;
    size_t tile_bytes; // of one activation row
    Tiles tiles;

    Shape(const MatrixKernels& kernels, const ggml_tensor* op)
        : columns(op->src[0]->ne[0]), rows(ggml_nrows(op->src[1])), blocks(columns / BLOCK), outputs(op->src[0]->ne[1]),
          panels(panels_of(outputs)), tile_bytes(static_cast<size_t>(blocks) * kernels.activation_block_bytes),
          tiles(rows) {}

    bool private_activations() const { return rows * columns <= PRIVATE_ACTIVATIONS; }
    size_t activation_bytes() const { return (static_cast<size_t>(rows) * tile_bytes + 63) / 64 * 64; }
    const char* tile(const char* activations, int64_t index) const {
        return activations + static_cast<size_t>(tiles.begin(index)) * tile_bytes;
    }
};

/** Quantizes blocks [begin, end) of all activations, counted row by row. */
void quantize(const MatrixKernels& kernels, const Shape& shape, const ggml_tensor* x, char* activations, int64_t begin,
              int64_t end) {
    int64_t tile = 0;
    for (int64_t i = begin; i < end;) {
        const int64_t row = i / shape.blocks;
        while (row >= shape.tiles.begin(tile + 1))
            ++tile;
        const int64_t last = std::min(end, (row + 1) * shape.blocks);
        const char* from = source_row(x, row);
        char* to = activations + static_cast<size_t>(shape.tiles.begin(tile)) * shape.tile_bytes;
        const int size = shape.tiles.size(tile);
        const auto in_tile = static_cast<size_t>(row - shape.tiles.begin(tile));
        for (; i < last; ++i) {
            const int64_t block = i % shape.blocks;
            const auto slot = static_cast<size_t>(block) * size + in_tile;
            kernels.quantize(reinterpret_cast<const float*>(from) + block * BLOCK,
                             to + slot * kernels.activation_block_bytes);
        }
    }
}

void multiply(const MatrixKernels& kernels, const Shape& shape, const char* weights, const char* activations,
              float* out, int64_t panel_begin, int64_t panel_end) {
    const size_t panel_bytes = static_cast<size_t>(shape.blocks) * kernels.panel_block_bytes;
    const auto stride = static_cast<size_t>(shape.outputs);
    for (int64_t first = 0; first < shape.tiles.count; first += TILES_IN_CACHE) {
        const int64_t last = std::min(shape.tiles.count, first + TILES_IN_CACHE);
        for (int64_t panel = panel_begin; panel < panel_end; ++panel) {
            for (int64_t t = first; t < last; ++t) {
                const int rows = shape.tiles.size(t);
                const char* panel_weights = weights + static_cast<size_t>(panel) * panel_bytes;
                float* to = out + static_cast<size_t>(shape.tiles.begin(t)) * stride + panel * PANEL_ROWS;
                const auto product = kernels.multiply[rows - 1];
                if (shape.outputs - panel * PANEL_ROWS >= PANEL_ROWS) {
                    product(panel_weights, shape.blocks, shape.tile(activations, t), to, stride);
                    continue;
                }
                std::array<float, MAX_TILE * PANEL_ROWS> filled;
                product(panel_weights, shape.blocks, shape.tile(activations, t), filled.data(), PANEL_ROWS);
                copy_last(filled.data(), rows, to, shape.outputs);
            }
        }
    }
}

} // namespace

size_t matrix_work_bytes(const MatrixKernels& kernels, const ggml_tensor* op, int threads) {
    if (is_prompt(kernels, op)) return prompt_matrix_work_bytes(kernels, op, threads);
    const Shape shape(kernels, op);
    return shape.activation_bytes() * static_cast<size_t>(shape.private_activations() ? threads : 1);
}

void compute_matrix(const MatrixKernels& kernels, const ggml_compute_params* params, ggml_tensor* op) {
    if (is_prompt(kernels, op)) return compute_prompt_matrix(kernels, params, op);
    const Shape shape(kernels, op);
    if (shape.rows == 0) return;
    const int64_t ith = params->ith, nth = params->nth;
    auto* activations = static_cast<char*>(params->wdata);
    const auto* weights = static_cast<const char*>(op->src[0]->data);
    auto* out = static_cast<float*>(op->data);
    const int64_t blocks = shape.rows * shape.blocks;

    if (shape.private_activations()) {
        activations += static_cast<size_t>(ith) * shape.activation_bytes();
        quantize(kernels, shape, op->src[1], activations, 0, blocks);
        multiply(kernels, shape, weights, activations, out, shape.panels * ith / nth, shape.panels * (ith + 1) / nth);
        return;
    }
    quantize(kernels, shape, op->src[1], activations, blocks * ith / nth, blocks * (ith + 1) / nth);
    if (ith == 0) ggml_threadpool_chunk_set(params->threadpool, params->nth);
    ggml_barrier(params->threadpool);
    // Pieces small enough that a thread held up by another program doesn't make the others wait long.
    const int64_t pieces = std::min(shape.panels, nth * 8);
    for (int64_t piece = ith; piece < pieces; piece = ggml_threadpool_chunk_add(params->threadpool, 1)) {
        multiply(kernels, shape, weights, activations, out, shape.panels * piece / pieces,
                 shape.panels * (piece + 1) / pieces);
    }
}

} // namespace specdiff::kernels

#include "matrix_op.h"

#include "last_panel.h"
#include "prompt_matrix_op.h"
#include "shares.h"
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
    int64_t columns, rows, blocks;
    size_t tile_bytes; // of one activation row
    size_t panel_bytes;
    Tiles tiles;

    Shape(const MatrixKernels& kernels, const ggml_tensor* op)
        : columns(op->src[0]->ne[0]), rows(ggml_nrows(op->src[1])), blocks(columns / BLOCK),
          tile_bytes(static_cast<size_t>(blocks) * kernels.activation_block_bytes),
          panel_bytes(static_cast<size_t>(blocks) * kernels.panel_block_bytes), tiles(rows) {}

    bool private_activations() const { return rows * columns <= PRIVATE_ACTIVATIONS; }
    size_t activation_bytes() const { return (static_cast<size_t>(rows) * tile_bytes + 63) / 64 * 64; }
    const char* panel(const ggml_tensor* op, int64_t index) const {
        return static_cast<const char*>(op->src[0]->data) + static_cast<size_t>(index) * panel_bytes;
    }
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

/** Panels [begin, end) of one product; then comes the panel at `next`, where it is known. */
void multiply(const MatrixKernels& kernels, const Shape& shape, const ggml_tensor* op, const char* activations,
              int64_t begin, int64_t end, const char* next) {
    auto* out = static_cast<float*>(op->data);
    const int64_t outputs = op->src[0]->ne[1];
    const auto stride = static_cast<size_t>(outputs);
    for (int64_t first = 0; first < shape.tiles.count; first += TILES_IN_CACHE) {
        const int64_t last = std::min(shape.tiles.count, first + TILES_IN_CACHE);
        for (int64_t panel = begin; panel < end; ++panel) {
            for (int64_t t = first; t < last; ++t) {
                const int rows = shape.tiles.size(t);
                const char* panel_weights = shape.panel(op, panel);
                const char* behind = next != nullptr ? next : panel_weights;
                const char* after = panel + 1 < end ? panel_weights + shape.panel_bytes : behind;
                float* to = out + static_cast<size_t>(shape.tiles.begin(t)) * stride + panel * PANEL_ROWS;
                const auto product = kernels.multiply[rows - 1];
                if (outputs - panel * PANEL_ROWS >= PANEL_ROWS) {
                    product(panel_weights, shape.blocks, shape.tile(activations, t), to, stride, after);
                    continue;
                }
                std::array<float, MAX_TILE * PANEL_ROWS> filled;
                product(panel_weights, shape.blocks, shape.tile(activations, t), filled.data(), PANEL_ROWS, after);
                copy_last(filled.data(), rows, to, outputs);
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

void compute_matrices(const MatrixKernels& kernels, const ggml_compute_params* params, const Products& products) {
    if (is_prompt(kernels, products.ops[0])) return compute_prompt_matrices(kernels, params, products);
    const ggml_tensor* x = products.ops[0]->src[1];
    const Shape shape(kernels, products.ops[0]);
    if (shape.rows == 0) return;
    const int64_t ith = params->ith, nth = params->nth;
    auto* activations = static_cast<char*>(params->wdata);
    const int64_t blocks = shape.rows * shape.blocks, panels = products.units(1);
    const auto place = [&](int64_t panel) {
        const char* found = nullptr;
        products.each(1, panel, panel + 1,
                      [&](const ggml_tensor* op, int64_t first, int64_t /*last*/) { found = shape.panel(op, first); });
        return found;
    };
    const auto multiply_before = [&](int64_t begin, int64_t end, int64_t next) {
        products.each(1, begin, end, [&](const ggml_tensor* op, int64_t first, int64_t last) {
            begin += last - first;
            multiply(kernels, shape, op, activations, first, last, place(begin < end ? begin : next));
        });
    };
    const auto multiply_panels = [&](int64_t begin, int64_t end, const auto& take) {
        if (begin == end) return;
        multiply_before(begin, end - 1, end - 1);
        multiply_before(end - 1, end, take());
    };

    if (shape.private_activations()) {
        activations += static_cast<size_t>(ith) * shape.activation_bytes();
        quantize(kernels, shape, x, activations, 0, blocks);
    } else {
        quantize(kernels, shape, x, activations, blocks * ith / nth, blocks * (ith + 1) / nth);
        ggml_barrier(params->threadpool);
    }
    share(params, panels, multiply_panels);
}

} // namespace specdiff::kernels

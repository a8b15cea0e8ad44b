#pragma once

#include "cache_view.h"
#include "ggml_handles.h"

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <vector>

struct ggml_cgraph;
struct ggml_tensor;

namespace specdiff {

/**
 * A copy of llama.cpp's graph for a number of rows that is computed again and again: llama.cpp keeps the last graph
 * alone, and builds it anew where the number changes (0.6 to 0.9 ms, 0.2 of a plain pass of the default target).
 * Nodes are copied one by one, weights and caches are shared with the original, and the inputs become ours to write.
 */
class KeptGraph {
  public:
    /** What the original was built for. */
    struct Shape {
        int rows;
        /** Rows that get logits. */
        int outputs;
        /** Of the cache. */
        int cells;
        int width;
        int vocabulary;
        /** Layers whose input is to be read behind a pass. */
        const std::vector<int32_t>& taps;
    };

    /**
     * Null where the graph is none that these inputs and this attention serve: one cache whose values are not
     * transposed, one mask of what is seen and what is not, fused attention, logits at the end.
     */
    static std::unique_ptr<KeptGraph> copy(ggml_cgraph* original, const Shape& shape);

    ggml_cgraph* graph() const { return graph_; }
    /** [rows], 32-bit integers. */
    ggml_tensor* tokens() const { return tokens_; }
    ggml_tensor* positions() const { return positions_; }
    /** [outputs], 32-bit integers: the rows that get logits. */
    ggml_tensor* output_rows() const { return output_rows_; }
    /** [rows], 64-bit integers: the cells that keys and values of the rows go to. */
    ggml_tensor* key_cells() const { return key_cells_; }
    ggml_tensor* value_cells() const { return value_cells_; }
    /** [cells seen, rows], halves: 0 for what a row sees and −∞ for the rest. */
    ggml_tensor* mask() const { return mask_; }
    /** The table that the tokens' rows are taken from, the model's own; null where it is in no memory to be read. */
    const ggml_tensor* embedding() const { return embedding_; }
    /** [vocabulary, outputs]. */
    ggml_tensor* logits() const { return logits_; }
    /** [width, rows] of one of the taps. */
    ggml_tensor* tap(int32_t layer) const { return taps_.at(layer); }
    /** Keys and values of all layers: a row of memory for each cell. */
    const std::set<ggml_tensor*>& caches() const { return caches_; }
    /** Of the caches' cells, rows see the first so many, at most all. After the graph got its memory. */
    void see(int cells);

  private:
    KeptGraph() = default;
    ggml_tensor* copy_input(const ggml_tensor& input, const Shape& shape);
    bool keep_attention(const ggml_tensor& node, int cells);

    GgmlContext context_;
    ggml_cgraph* graph_ = nullptr;
    ggml_tensor* tokens_ = nullptr;
    ggml_tensor* positions_ = nullptr;
    ggml_tensor* output_rows_ = nullptr;
    ggml_tensor* key_cells_ = nullptr;
    ggml_tensor* value_cells_ = nullptr;
    ggml_tensor* mask_ = nullptr;
    const ggml_tensor* embedding_ = nullptr;
    ggml_tensor* logits_ = nullptr;
    std::map<int32_t, ggml_tensor*> taps_;
    std::set<ggml_tensor*> caches_;
    /** Keys, then values, of each layer. */
    std::vector<CacheView> views_;
    int seen_ = 0;
};

} // namespace specdiff

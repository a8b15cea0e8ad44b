#pragma once

#include "ddit_conditioning.h"
#include "ddit_file.h"
#include "gguf_file.h"
#include "network.h"
#include "threads.h"

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

struct ggml_context;
struct ggml_tensor;

namespace specdiff {

/** Rows of a window that are evaluated together. */
struct DditPass {
    std::vector<int32_t> tokens;
    /** Position, and cell, of the first token; the others follow. */
    int position = 0;
    /** Cells that all of them attend to: [0, cells). Those that are no row of this pass hold what an earlier one left
     * there. At least position + tokens.size(). */
    int cells = 0;
    /** Rows whose logits are wanted: tokens [first, first + outputs). */
    int first = 0;
    int outputs = 0;
};

/**
 * The network of a discrete-diffusion language model (see DditShape): every row attends to every cell. Its graph runs
 * on the backends that are loaded, a GPU first. Keys and values of rows stay in their cells, so that a text's can be
 * kept while the slots after it are denoised (an approximation: the text's rows then saw the slots as they were in
 * their own pass).
 *
 * Keys and values are of type f16; f32 where the matrices are, and GELU is then not rounded either.
 */
class DditModel {
  public:
    /** `shape` as check_ddit_file(file) gave it. `cancelled` ends a running pass. @throws Error where memory is short
     * or reading fails. */
    DditModel(const GgufFile& file, const DditShape& shape, ThreadPool& threads, const std::atomic<bool>& cancelled);

    const DditShape& shape() const { return shape_; }

    /**
     * Logits [outputs, output_stride()] in the model's own buffer, valid until the next call; entries from
     * shape().vocabulary on mean nothing. `sigma`: total noise of the window, −ln(1 − share of masks).
     * @throws Cancelled, Error.
     */
    const float* evaluate(const DditPass& pass, double sigma);
    size_t output_stride() const { return static_cast<size_t>(shape_.output_rows); }
    /** Bytes of weights, caches and buffers on all devices. */
    size_t bytes() const { return network_.bytes(); }

  private:
    struct Layer {
        ggml_tensor* qkv = nullptr;
        ggml_tensor* output = nullptr;
        ggml_tensor* up = nullptr;
        ggml_tensor* up_bias = nullptr;
        ggml_tensor* down = nullptr;
        ggml_tensor* down_bias = nullptr;
        ggml_tensor* keys = nullptr;
        ggml_tensor* values = nullptr;
    };
    /** What a graph was built for, and its inputs. */
    struct Graph {
        int tokens = 0;
        int position = 0;
        int cells = 0;
        int first = 0;
        int outputs = 0;
        /** Without a graph while it is not complete. */
        NetworkGraph built;
        ggml_tensor* token_input = nullptr;
        ggml_tensor* position_input = nullptr;
        ggml_tensor* mask = nullptr;
        ggml_tensor* logits = nullptr;
        bool fits(const DditPass& pass) const;
    };
    ggml_tensor* part(ggml_context* graph, int layer, int index) const;
    ggml_tensor* modulated(ggml_context* graph, ggml_tensor* x, int layer, int index) const;
    ggml_tensor* gelu(ggml_context* graph, ggml_tensor* x) const;
    ggml_tensor* attention(ggml_context* graph, ggml_tensor* x, int layer, int first, int count);
    void hide(int cells, int padded, int rows);
    void build(const DditPass& pass);
    void check(const DditPass& pass) const;

    DditShape shape_;
    DditConditioning conditioning_;
    Network network_;
    /** Matrices are of type f32, and so is everything else. */
    bool precise_ = false;
    ggml_tensor* embedding_ = nullptr;
    ggml_tensor* head_ = nullptr;
    ggml_tensor* head_bias_ = nullptr;
    /** [width, layers · PARTS + OUTPUT_PARTS]: the vectors of `sigma_`. */
    ggml_tensor* modulation_ = nullptr;
    double sigma_ = -1;
    std::vector<Layer> layers_;
    Graph graph_;
    /** The graph's mask. */
    std::vector<uint16_t> hidden_;
    std::vector<float> logits_;
};

} // namespace specdiff

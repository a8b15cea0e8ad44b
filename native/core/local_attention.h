#pragma once

#include "layer_inputs.h"

#include <cstdint>
#include <utility>
#include <vector>

struct ggml_tensor;
struct llama_context_params;

namespace specdiff {

/**
 * Layers that see the last tokens only, in a graph of llama.cpp's that has one mask for all layers: GPT-Neo in gpt2's
 * (which is the same otherwise; training/specdiff_train/convert/gpt.py). Before such a layer's attention the
 * scheduler's callback leaves of each row's visible cells the last ones, and puts the mask back for the others. That
 * takes cells to lie in the order of their positions, as they do here, branches of trees included.
 */
class LocalAttention {
  public:
    /** Tokens that each layer sees, itself included; 0 for all earlier ones. Empty changes nothing. */
    explicit LocalAttention(std::vector<int64_t> windows) : windows_(std::move(windows)) {}

    /** After LayerInputs::prepare(), whose callback goes on; both must outlive the context. */
    void prepare(llama_context_params& params, LayerInputs& inputs);
    /** Before each llama_decode. */
    void begin();
    /** After it. @throws Error where the graph turned out to be another than this can work on. */
    void check() const;

  private:
    bool visit(ggml_tensor& node, bool ask);
    void look(ggml_tensor& mask, int64_t window);

    std::vector<int64_t> windows_;
    LayerInputs* inputs_ = nullptr;
    bool inputs_watch_ = false;
    /** The layer whose nodes come next. */
    size_t layer_ = 0;
    /** The mask that was last narrowed, what it was, and the window that it has now. */
    ggml_tensor* mask_ = nullptr;
    std::vector<uint8_t> whole_;
    int64_t window_ = 0;
    bool failed_ = false;
};

} // namespace specdiff

#pragma once

#include "model.h"

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

struct ggml_tensor;
struct llama_context;
struct llama_context_params;

namespace specdiff {

/** The layer whose output a node of llama.cpp's graphs is, by the name that all of them give it; nothing for other
 * nodes. */
std::optional<int32_t> layer_of_output(const ggml_tensor& node);

/**
 * Inputs of chosen layers in a context's passes: the hidden states of all rows of a batch, copied while the pass runs.
 * Where llama.cpp's graph hands them out (`t_layer_inp`), it copies them. Elsewhere the scheduler's callback copies the
 * output of the layer before, the node that llama.cpp's graphs call `l_out`. The logits are the same bit for bit.
 */
class LayerInputs {
  public:
    enum class Way { automatic, nodes };

    LayerInputs(const Model& model, std::vector<int32_t> layers, Way way = Way::automatic);
    ~LayerInputs() = default;
    LayerInputs(const LayerInputs&) = delete;
    LayerInputs& operator=(const LayerInputs&) = delete;

    /** Empty where one of them turned out to be unreadable. */
    const std::vector<int32_t>& layers() const { return layers_; }
    /** After attach(): a layer whose input this architecture's graph does not show. */
    std::optional<int32_t> unreadable() const { return unreadable_; }
    /** Before the context is made; this object must outlive the context. */
    void prepare(llama_context_params& params);
    /** After the context was made; evaluates two tokens where only a pass can tell whether the inputs can be read. */
    void attach(llama_context* context);
    /** Before each llama_decode of so many rows. */
    void begin(int rows);
    /** The callback that prepare() sets, for another one that takes its place. */
    bool visit(const ggml_tensor& node, bool ask);
    /** [rows, width] of the last pass, in the batch's order; of one of layers(). @throws Error where rows are missing.
     */
    const float* of(int32_t layer) const;

  private:
    struct Copy {
        std::vector<float> values;
        int rows = 0;
    };

    Copy* copy_of(const ggml_tensor& node);
    void probe();

    std::vector<int32_t> layers_;
    int width_;
    bool from_nodes_;
    std::optional<int32_t> unreadable_;
    llama_context* context_ = nullptr;
    int rows_ = 0;
    /** By layer, where they come from nodes. */
    std::map<int32_t, Copy> copies_;
};

} // namespace specdiff

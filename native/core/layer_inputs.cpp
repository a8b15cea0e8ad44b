#include "layer_inputs.h"

#include "error.h"
#include "log.h"

#include <ggml-backend.h>
#include <ggml.h>
#include <llama-ext.h>
#include <llama.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <set>
#include <string>
#include <utility>

namespace specdiff {

namespace {

/** Architectures whose graph hands out its layers' inputs in llama.cpp v0.5.0; it would abort for others. */
const std::set<std::string> HAND_OUT = {"llama",     "qwen3",      "qwen3moe",   "qwen3next",     "qwen35",
                                        "qwen35moe", "gpt-oss",    "gemma4",     "deepseek4",     "lfm2",
                                        "lfm2moe",   "minimax-m2", "nemotron_h", "nemotron_h_moe"};
/** What all of llama.cpp's graphs call a layer's output; its number follows. */
constexpr const char* LAYER_OUTPUT = "l_out-";

} // namespace

std::optional<int32_t> layer_of_output(const ggml_tensor& node) {
    const auto length = std::strlen(LAYER_OUTPUT);
    if (std::strncmp(node.name, LAYER_OUTPUT, length) != 0) return std::nullopt;
    char* end = nullptr;
    const auto layer = std::strtol(node.name + length, &end, 10);
    if (*end != '\0') return std::nullopt;
    return static_cast<int32_t>(layer);
}

LayerInputs::LayerInputs(const Model& model, std::vector<int32_t> layers, Way way)
    : layers_(std::move(layers)), width_(model.width()),
      from_nodes_(!layers_.empty() &&
                  (way == Way::nodes || HAND_OUT.count(model.metadata("general.architecture")) == 0)) {
    if (from_nodes_) {
        for (const auto layer : layers_)
            copies_[layer];
    }
}

void LayerInputs::prepare(llama_context_params& params) {
    if (!from_nodes_) return;
    params.cb_eval = [](ggml_tensor* node, bool ask, void* self) {
        return static_cast<LayerInputs*>(self)->visit(*node, ask);
    };
    params.cb_eval_user_data = this;
}

void LayerInputs::attach(llama_context* context) {
    context_ = context;
    if (from_nodes_) {
        probe();
        return;
    }
    for (const auto layer : layers_)
        llama_set_embeddings_layer_inp(context, static_cast<uint32_t>(layer), true);
}

void LayerInputs::begin(int rows) {
    if (!from_nodes_) return;
    rows_ = rows;
    const auto size = static_cast<size_t>(rows) * static_cast<size_t>(width_);
    for (auto& [layer, copy] : copies_) {
        copy.rows = 0;
        if (copy.values.size() < size) copy.values.resize(size);
    }
}

const float* LayerInputs::of(int32_t layer) const {
    if (!from_nodes_) return llama_get_embeddings_layer_inp(context_, static_cast<uint32_t>(layer));
    const auto& copy = copies_.at(layer);
    if (copy.rows != rows_) {
        throw Error("Hidden states of layer " + std::to_string(layer) +
                    " are missing: restart the engine without the drafter.");
    }
    return copy.values.data();
}

/** Where a node's values belong; nullptr for all but the wanted layers' inputs. */
LayerInputs::Copy* LayerInputs::copy_of(const ggml_tensor& node) {
    const auto layer = layer_of_output(node);
    if (!layer) return nullptr;
    const auto found = copies_.find(*layer + 1);
    return found == copies_.end() ? nullptr : &found->second;
}

/** The scheduler computes up to a node for which the first call says yes, then calls again with its values. */
bool LayerInputs::visit(const ggml_tensor& node, bool ask) {
    auto* copy = copy_of(node);
    if (copy == nullptr) return !ask;
    if (ask) return true;
    const auto rows = static_cast<int>(ggml_nrows(&node));
    const bool fits = node.type == GGML_TYPE_F32 && node.ne[0] == width_ && ggml_is_contiguous(&node) &&
                      copy->rows >= 0 && rows <= rows_ - copy->rows;
    if (!fits) {
        copy->rows = -1; // of() refuses it
        return true;
    }
    auto* to = copy->values.data() + static_cast<size_t>(copy->rows) * static_cast<size_t>(width_);
    ggml_backend_tensor_get(&node, to, 0, ggml_nbytes(&node));
    copy->rows += rows;
    return true;
}

/** Two rows, one of them an output: a layer that keeps the outputs' rows alone shows. */
void LayerInputs::probe() {
    std::array<llama_token, 2> tokens{};
    const auto count = static_cast<int32_t>(tokens.size());
    const auto batch = llama_batch_get_one(tokens.data(), count);
    begin(count);
    int result = 0;
    {
        const LogCapture captured;
        result = llama_decode(context_, batch);
        llama_synchronize(context_);
    }
    llama_memory_clear(llama_get_memory(context_), true);
    const auto missing = std::find_if(layers_.begin(), layers_.end(),
                                      [&](int32_t layer) { return result != 0 || copies_.at(layer).rows != rows_; });
    if (missing == layers_.end()) return;
    unreadable_ = *missing;
    layers_.clear();
    copies_.clear(); // nothing is asked for any more
}

} // namespace specdiff

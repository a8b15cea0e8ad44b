#include "block_file.h"

#include <ggml.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>

namespace specdiff {

namespace {

const std::string PREFIX = "dflash.";

/** Keys that our graph takes into account, or that change nothing in it. */
const std::set<std::string> KNOWN_KEYS = {
    "block_count",
    "context_length",
    "embedding_length",
    "feed_forward_length",
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.value_length",
    "attention.layer_norm_rms_epsilon",
    "attention.causal",
    "rope.freq_base",
    "rope.dimension_count",
    "vocab_size",
    "block_size",
    "sample_from_anchor",
    "has_confidence_head",
    "target_layers",
};

/** Of thirteen tensors each; Network has room for 4,096. */
constexpr int MOST_LAYERS = 256;

bool is_matrix_type(int type) {
    const bool quantized = ggml_is_quantized(static_cast<ggml_type>(type)) && !only_for_activations(type);
    return type == GGML_TYPE_F32 || type == GGML_TYPE_F16 || quantized;
}

/** Counts the tensors that are as they must be. */
class Tensors {
  public:
    explicit Tensors(const GgufFile& file) : file_(file) {}

    bool vector(const std::string& name, int64_t size) {
        const auto* tensor = sized(name, size, 1);
        return tensor != nullptr && tensor->type == GGML_TYPE_F32;
    }
    bool matrix(const std::string& name, int64_t columns, int64_t rows) {
        const auto* tensor = sized(name, columns, rows);
        return tensor != nullptr && is_matrix_type(tensor->type);
    }
    bool any(const std::string& name) { return found(name) != nullptr; }
    bool all_known() const { return known_ == file_.tensors().size(); }

  private:
    const TensorInfo* found(const std::string& name) {
        const auto* tensor = file_.tensor(name);
        if (tensor != nullptr) ++known_;
        return tensor;
    }
    const TensorInfo* sized(const std::string& name, int64_t columns, int64_t rows) {
        const auto* tensor = found(name);
        const bool fits = tensor != nullptr && tensor->shape[0] == columns && tensor->shape[1] == rows &&
                          tensor->shape[2] == 1 && tensor->shape[3] == 1;
        return fits ? tensor : nullptr;
    }

    const GgufFile& file_;
    size_t known_ = 0;
};

bool layer_fits(Tensors& tensors, const BlockShape& shape, int layer) {
    const std::string prefix = "blk." + std::to_string(layer) + ".";
    const int64_t width = shape.width;
    const int64_t queries = int64_t{shape.heads} * shape.head_width;
    const int64_t keys = int64_t{shape.key_heads} * shape.head_width;
    return tensors.vector(prefix + "attn_norm.weight", width) &&
           tensors.matrix(prefix + "attn_q.weight", width, queries) &&
           tensors.matrix(prefix + "attn_k.weight", width, keys) &&
           tensors.matrix(prefix + "attn_v.weight", width, keys) &&
           tensors.matrix(prefix + "attn_output.weight", queries, width) &&
           tensors.vector(prefix + "attn_q_norm.weight", shape.head_width) &&
           tensors.vector(prefix + "attn_k_norm.weight", shape.head_width) &&
           tensors.vector(prefix + "ffn_norm.weight", width) &&
           tensors.matrix(prefix + "ffn_gate.weight", width, shape.feed_forward) &&
           tensors.matrix(prefix + "ffn_up.weight", width, shape.feed_forward) &&
           tensors.matrix(prefix + "ffn_down.weight", shape.feed_forward, width);
}

/** A key's whole number where it can be a size, else 0. */
int size_of(const GgufFile& file, const std::string& key, int64_t fallback) {
    const auto value = file.integer(PREFIX + key).value_or(fallback);
    return value >= 1 && value <= INT32_MAX ? static_cast<int>(value) : 0;
}

bool keys_are_known(const GgufFile& file) {
    const auto keys = file.keys();
    return std::all_of(keys.begin(), keys.end(), [](const std::string& key) {
        return key.compare(0, PREFIX.size(), PREFIX) != 0 || KNOWN_KEYS.count(key.substr(PREFIX.size())) != 0;
    });
}

} // namespace

std::optional<BlockShape> block_shape(const GgufFile& drafter, const GgufFile& target) {
    if (!keys_are_known(drafter) || drafter.boolean(PREFIX + "attention.causal").value_or(false)) return std::nullopt;
    BlockShape shape;
    shape.width = size_of(drafter, "embedding_length", 0);
    shape.layers = size_of(drafter, "block_count", 0);
    shape.heads = size_of(drafter, "attention.head_count", 0);
    shape.key_heads = size_of(drafter, "attention.head_count_kv", shape.heads);
    if (shape.heads == 0 || shape.key_heads == 0 || shape.heads % shape.key_heads != 0) return std::nullopt;
    shape.head_width = size_of(drafter, "attention.key_length", shape.width / shape.heads);
    shape.rotated = size_of(drafter, "rope.dimension_count", shape.head_width);
    shape.feed_forward = size_of(drafter, "feed_forward_length", 0);
    shape.mask = static_cast<int32_t>(drafter.integer("tokenizer.ggml.mask_token_id").value_or(-1));
    shape.rope_base = static_cast<float>(drafter.number(PREFIX + "rope.freq_base").value_or(shape.rope_base));
    shape.epsilon = static_cast<float>(drafter.number(PREFIX + "attention.layer_norm_rms_epsilon").value_or(0));
    if (shape.width < 1 || shape.layers < 1 || shape.layers > MOST_LAYERS || shape.head_width < 1 ||
        shape.feed_forward < 1 || shape.mask < 0 || shape.rotated < 1 || !(shape.epsilon > 0) ||
        !(shape.rope_base > 0)) {
        return std::nullopt;
    }
    const auto* head = drafter.tensor("output.weight");
    const auto* fuse = drafter.tensor("fc.weight");
    const auto* embedding = target.tensor("token_embd.weight");
    if (head == nullptr || fuse == nullptr || embedding == nullptr || embedding->shape[0] != shape.width ||
        shape.mask >= embedding->shape[1] || !is_matrix_type(embedding->type)) {
        return std::nullopt;
    }
    shape.taps = static_cast<int>(fuse->shape[0] / shape.width);
    shape.draft_vocabulary = static_cast<int>(head->shape[1]);
    if (shape.taps < 1 || shape.draft_vocabulary < 1) return std::nullopt;

    Tensors tensors(drafter);
    shape.reduced = tensors.any("d2t");
    bool fits = tensors.matrix("fc.weight", int64_t{shape.taps} * shape.width, shape.width) &&
                tensors.vector("enc.output_norm.weight", shape.width) &&
                tensors.vector("output_norm.weight", shape.width) &&
                tensors.matrix("output.weight", shape.width, shape.draft_vocabulary);
    for (int layer = 0; layer < shape.layers && fits; ++layer)
        fits = layer_fits(tensors, shape, layer);
    return fits && tensors.all_known() ? std::optional(shape) : std::nullopt;
}

} // namespace specdiff

#include "ddit_model.h"

#include "error.h"

#include <ggml.h>

#include <cmath>
#include <limits>
#include <utility>

namespace specdiff {

namespace {

constexpr size_t NODES_PER_LAYER = 80;
constexpr size_t OTHER_NODES = 64;

} // namespace

DditModel::DditModel(const GgufFile& file, const DditShape& shape, ThreadPool& threads,
                     const std::atomic<bool>& cancelled)
    : shape_(shape), conditioning_(file, shape), network_(threads, cancelled),
      precise_(file.tensor("output.weight")->type == GGML_TYPE_F32) {
    embedding_ = network_.values(file, "token_embd.weight");
    head_ = network_.matrix(file, "output.weight");
    head_bias_ = network_.values(file, "output.bias");
    const auto cache_type = precise_ ? GGML_TYPE_F32 : GGML_TYPE_F16;
    const int cells = rounded_up(shape.context, network_.cell_step());
    for (int i = 0; i < shape_.layers; ++i) {
        const std::string prefix = "blk." + std::to_string(i) + ".";
        Layer layer;
        layer.qkv = network_.matrix(file, prefix + "attn_qkv.weight");
        layer.output = network_.matrix(file, prefix + "attn_output.weight");
        layer.up = network_.matrix(file, prefix + "ffn_up.weight");
        layer.up_bias = network_.values(file, prefix + "ffn_up.bias");
        layer.down = network_.matrix(file, prefix + "ffn_down.weight");
        layer.down_bias = network_.values(file, prefix + "ffn_down.bias");
        layer.keys = network_.memory(cache_type, shape_.width, cells);
        layer.values = network_.memory(cache_type, shape_.width, cells);
        layers_.push_back(layer);
    }
    modulation_ = network_.memory(GGML_TYPE_F32, shape_.width,
                                  shape_.layers * DditConditioning::PARTS + DditConditioning::OUTPUT_PARTS);
    network_.load(file, NODES_PER_LAYER * static_cast<size_t>(shape_.layers) + OTHER_NODES);
}

/** One of the vectors that σ gives. */
ggml_tensor* DditModel::part(ggml_context* graph, int layer, int index) const {
    const auto row = static_cast<size_t>(layer) * DditConditioning::PARTS + static_cast<size_t>(index);
    return ggml_view_1d(graph, modulation_, shape_.width, row * modulation_->nb[1]);
}

/** Layer norm, its factor at `index` and its shift at the next. */
ggml_tensor* DditModel::modulated(ggml_context* graph, ggml_tensor* x, int layer, int index) const {
    auto* normalized = ggml_mul(graph, ggml_norm(graph, x, shape_.epsilon), part(graph, layer, index));
    return ggml_add(graph, normalized, part(graph, layer, index + 1));
}

/** The tanh form. ggml's own looks it up in a table of f16 on the CPU; x · sigmoid(2u) is the same, unrounded. */
ggml_tensor* DditModel::gelu(ggml_context* graph, ggml_tensor* x) const {
    if (!precise_) return ggml_gelu(graph, x);
    constexpr float CUBIC = 0.044715F;
    const auto slope = static_cast<float>(2 * std::sqrt(2 / 3.14159265358979323846));
    auto* inner = ggml_mul(graph, x, ggml_scale_bias(graph, ggml_sqr(graph, x), slope * CUBIC, slope));
    return ggml_mul(graph, x, ggml_sigmoid(graph, inner));
}

/** Writes keys and values of all rows to their cells; what rows [first, first + count) attend to, [width, count]. */
ggml_tensor* DditModel::attention(ggml_context* graph, ggml_tensor* x, int index, int first, int count) {
    const Layer& layer = layers_[static_cast<size_t>(index)];
    const int64_t head = shape_.head_width();
    const int64_t heads = shape_.heads;
    const int64_t width = shape_.width;
    auto* qkv = network_.product(layer.qkv, x);
    const auto rotated = [&](int which, int64_t from, int64_t rows) {
        auto* view =
            ggml_view_3d(graph, qkv, head, heads, rows, static_cast<size_t>(head) * sizeof(float), qkv->nb[1],
                         static_cast<size_t>(which * width) * sizeof(float) + static_cast<size_t>(from) * qkv->nb[1]);
        // Each view of an input is copied to a GPU by itself: two a layer would take longer than the layer.
        auto* positions = graph_.position_input;
        if (rows < graph_.tokens)
            positions = ggml_view_1d(graph, positions, rows, static_cast<size_t>(from) * sizeof(int32_t));
        return ggml_rope_ext(graph, view, positions, nullptr, static_cast<int>(head), GGML_ROPE_TYPE_NEOX, 0,
                             shape_.rope_base, 1, 0, 1, 0, 0);
    };
    const auto store = [&](ggml_tensor* rows, ggml_tensor* cache) {
        auto* cells = ggml_view_2d(graph, cache, width, graph_.tokens, cache->nb[1],
                                   static_cast<size_t>(graph_.position) * cache->nb[1]);
        ggml_build_forward_expand(network_.graph(), ggml_cpy(graph, rows, cells));
    };
    store(ggml_reshape_2d(graph, rotated(1, 0, graph_.tokens), width, graph_.tokens), layer.keys);
    store(ggml_view_2d(graph, qkv, width, graph_.tokens, qkv->nb[1], static_cast<size_t>(2 * width) * sizeof(float)),
          layer.values);
    const int padded = rounded_up(graph_.cells, network_.cell_step());
    const auto seen = [&](ggml_tensor* cache) {
        auto* cells = ggml_view_3d(graph, cache, head, heads, padded,
                                   static_cast<size_t>(head) * ggml_type_size(cache->type), cache->nb[1], 0);
        return ggml_permute(graph, cells, 0, 2, 1, 3);
    };
    auto* mask = graph_.mask;
    if (mask != nullptr && count < graph_.tokens)
        mask = ggml_view_2d(graph, mask, padded, count, mask->nb[1], static_cast<size_t>(first) * mask->nb[1]);
    auto* result =
        ggml_flash_attn_ext(graph, ggml_permute(graph, rotated(0, first, count), 0, 2, 1, 3), seen(layer.keys),
                            seen(layer.values), mask, 1 / std::sqrt(static_cast<float>(head)), 0, 0);
    if (precise_) ggml_prec_set_acc(result, GGML_PREC_F32);
    return ggml_reshape_2d(graph, result, width, count);
}

/** The mask of cells from `cells` on, for every row. */
void DditModel::hide(int cells, int padded, int rows) {
    const auto columns = static_cast<std::ptrdiff_t>(padded);
    hidden_.assign(static_cast<size_t>(padded) * static_cast<size_t>(rows), ggml_fp32_to_fp16(0));
    const auto hidden = ggml_fp32_to_fp16(-std::numeric_limits<float>::infinity());
    for (auto row = hidden_.begin(); row != hidden_.end(); row += columns)
        std::fill(row + cells, row + columns, hidden);
}

void DditModel::build(const DditPass& pass) {
    graph_ = {};
    auto* const graph = network_.begin();
    Graph next;
    next.tokens = static_cast<int>(pass.tokens.size());
    next.position = pass.position;
    next.cells = pass.cells;
    next.first = pass.first;
    next.outputs = pass.outputs;
    next.token_input = network_.input(GGML_TYPE_I32, next.tokens, 1);
    next.position_input = network_.input(GGML_TYPE_I32, next.tokens, 1);
    const int padded = rounded_up(next.cells, network_.cell_step());
    if (padded != next.cells) {
        next.mask = network_.input(GGML_TYPE_F16, padded, next.tokens);
        hide(next.cells, padded, next.tokens);
    }
    graph_ = std::move(next);

    auto* x = ggml_get_rows(graph, embedding_, graph_.token_input);
    for (int i = 0; i < shape_.layers; ++i) {
        const Layer& layer = layers_[static_cast<size_t>(i)];
        // After the last layer's keys and values only the rows that are asked for matter.
        const bool last = i + 1 == shape_.layers;
        const int first = last ? graph_.first : 0;
        const int count = last ? graph_.outputs : graph_.tokens;
        auto* attended = attention(graph, modulated(graph, x, i, DditConditioning::attention_factor), i, first, count);
        if (count < graph_.tokens)
            x = ggml_view_2d(graph, x, shape_.width, count, x->nb[1], static_cast<size_t>(first) * x->nb[1]);
        auto* branch = network_.product(layer.output, attended);
        x = ggml_add(graph, x, ggml_mul(graph, branch, part(graph, i, DditConditioning::attention_gate)));
        branch = network_.product(layer.up, modulated(graph, x, i, DditConditioning::mlp_factor));
        branch = network_.product(layer.down, gelu(graph, ggml_add(graph, branch, layer.up_bias)));
        branch = ggml_add(graph, branch, layer.down_bias);
        x = ggml_add(graph, x, ggml_mul(graph, branch, part(graph, i, DditConditioning::mlp_gate)));
    }
    graph_.logits = ggml_add(graph, network_.product(head_, modulated(graph, x, shape_.layers, 0)), head_bias_);
    graph_.built = network_.finish({graph_.logits});
}

bool DditModel::Graph::fits(const DditPass& pass) const {
    return built.graph != nullptr && tokens == static_cast<int>(pass.tokens.size()) && position == pass.position &&
           cells == pass.cells && first == pass.first && outputs == pass.outputs;
}

void DditModel::check(const DditPass& pass) const {
    const auto count = static_cast<int>(pass.tokens.size());
    const bool fine = count > 0 && pass.position >= 0 && pass.position + count <= pass.cells &&
                      pass.cells <= shape_.context && pass.first >= 0 && pass.outputs > 0 &&
                      pass.first + pass.outputs <= count;
    if (!fine)
        throw Error("The drafter's window of " + std::to_string(pass.cells) + " tokens can't be evaluated: it holds " +
                    std::to_string(shape_.context) + ".");
    for (const auto token : pass.tokens) {
        if (token < 0 || token >= shape_.vocabulary)
            throw Error("Token " + std::to_string(token) + " is outside the drafter's vocabulary.");
    }
}

const float* DditModel::evaluate(const DditPass& pass, double sigma) {
    check(pass);
    if (!graph_.fits(pass)) build(pass);
    if (!shape_.time_conditioned) sigma = 0;
    if (sigma != sigma_) {
        write_values(modulation_, conditioning_.at(sigma));
        sigma_ = sigma;
    }
    std::vector<int32_t> positions(pass.tokens.size());
    for (size_t i = 0; i < positions.size(); ++i)
        positions[i] = pass.position + static_cast<int>(i);
    write_values(graph_.token_input, pass.tokens);
    write_values(graph_.position_input, positions);
    if (graph_.mask != nullptr) write_values(graph_.mask, hidden_);
    network_.compute(graph_.built);
    read_values(graph_.logits, logits_);
    return logits_.data();
}

} // namespace specdiff

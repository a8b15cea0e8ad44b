#include "kept_graph.h"

#include "layer_inputs.h"

#include <ggml-backend.h>
#include <ggml.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <string_view>

namespace specdiff {

namespace {

/** Names that llama.cpp v0.5.0 gives its graphs' inputs. */
constexpr std::string_view TOKENS = "inp_tokens";
constexpr std::string_view POSITIONS = "inp_pos";
constexpr std::string_view OUTPUT_ROWS = "out_ids";
constexpr std::string_view KEY_CELLS = "attn_inp_k_idxs";
constexpr std::string_view VALUE_CELLS = "attn_inp_v_idxs";
constexpr std::string_view MASK = "attn_inp_kq_mask";
constexpr size_t INPUTS = 6;

/** Weights and caches, which have memory already. */
bool is_shared(const ggml_tensor& tensor) {
    return tensor.op == GGML_OP_NONE && tensor.data != nullptr && tensor.buffer != nullptr &&
           tensor.view_src == nullptr && (tensor.flags & GGML_TENSOR_FLAG_INPUT) == 0;
}

bool has_shape(const ggml_tensor& tensor, ggml_type type, int64_t columns, int64_t rows) {
    return tensor.type == type && tensor.ne[0] == columns && tensor.ne[1] == rows && tensor.ne[2] == 1 &&
           tensor.ne[3] == 1;
}

} // namespace

/** Null for inputs that nobody here could write. */
ggml_tensor* KeptGraph::copy_input(const ggml_tensor& input, const Shape& shape) {
    struct Known {
        std::string_view name;
        ggml_tensor*& place;
        ggml_type type;
        int64_t columns;
        int64_t rows;
    };
    const Known known[] = {{TOKENS, tokens_, GGML_TYPE_I32, shape.rows, 1},
                           {POSITIONS, positions_, GGML_TYPE_I32, shape.rows, 1},
                           {OUTPUT_ROWS, output_rows_, GGML_TYPE_I32, shape.outputs, 1},
                           {KEY_CELLS, key_cells_, GGML_TYPE_I64, shape.rows, 1},
                           {VALUE_CELLS, value_cells_, GGML_TYPE_I64, shape.rows, 1},
                           {MASK, mask_, GGML_TYPE_F16, shape.cells, shape.rows}};
    const auto* const found = std::find_if(std::begin(known), std::end(known),
                                           [&](const Known& candidate) { return candidate.name == input.name; });
    if (found == std::end(known) || found->place != nullptr ||
        !has_shape(input, found->type, found->columns, found->rows))
        return nullptr;
    found->place = ggml_new_tensor(context_.get(), input.type, GGML_MAX_DIMS, input.ne);
    ggml_set_name(found->place, input.name);
    ggml_set_input(found->place);
    return found->place;
}

/** False where it is not made of whole caches as they are, or where its mask holds distances (ALiBi). */
bool KeptGraph::keep_attention(const ggml_tensor& node, int cells) {
    float greatest_bias = 0;
    std::memcpy(&greatest_bias, node.op_params + 1, sizeof(greatest_bias)); // as ggml_flash_attn_ext lays them down
    if (greatest_bias != 0) return false;
    for (auto* const turned : {node.src[1], node.src[2]}) {
        if (turned->op != GGML_OP_PERMUTE || turned->ne[1] != cells) return false;
        auto* const view = turned->src[0];
        const bool whole = view->op == GGML_OP_VIEW && view->ne[2] == cells && caches_.count(view->view_src) > 0;
        if (!whole) return false;
        views_.push_back({view, turned});
    }
    return node.src[3] == mask_;
}

std::unique_ptr<KeptGraph> KeptGraph::copy(ggml_cgraph* original, const Shape& shape) {
    const int count = ggml_graph_n_nodes(original);
    // Weights are leaves of the graph too.
    const size_t size = 2 * static_cast<size_t>(count);
    std::unique_ptr<KeptGraph> kept(new KeptGraph);
    kept->context_ = make_ggml_context(ggml_tensor_overhead() * (static_cast<size_t>(count) + INPUTS) +
                                       ggml_graph_overhead_custom(size, false));
    if (kept->context_ == nullptr || count == 0) return nullptr;
    kept->graph_ = ggml_new_graph_custom(kept->context_.get(), size, false);
    std::map<const ggml_tensor*, ggml_tensor*> copies;
    const auto copy_of = [&](ggml_tensor* tensor) -> ggml_tensor* {
        if (is_shared(*tensor)) return tensor;
        auto& copy = copies[tensor];
        if (copy == nullptr && tensor->op == GGML_OP_NONE) copy = kept->copy_input(*tensor, shape);
        return copy;
    };
    for (int i = 0; i < count; ++i) {
        auto* const node = ggml_graph_node(original, i);
        auto* const copy = ggml_new_tensor(kept->context_.get(), node->type, GGML_MAX_DIMS, node->ne);
        std::copy(std::begin(node->nb), std::end(node->nb), std::begin(copy->nb));
        copy->op = node->op;
        std::copy(std::begin(node->op_params), std::end(node->op_params), std::begin(copy->op_params));
        copy->flags = node->flags & ~GGML_TENSOR_FLAG_OUTPUT;
        copy->view_offs = node->view_offs;
        ggml_set_name(copy, node->name);
        for (int source = 0; source < GGML_MAX_SRC; ++source) {
            if (node->src[source] == nullptr) continue;
            auto* const from = copy_of(node->src[source]);
            const bool fits = from != nullptr && (from != kept->mask_ || node->op == GGML_OP_FLASH_ATTN_EXT);
            if (!fits) return nullptr;
            copy->src[source] = from;
        }
        if (node->view_src != nullptr) {
            copy->view_src = copy_of(node->view_src);
            if (copy->view_src == nullptr) return nullptr;
        }
        copies[node] = copy;
        if (node->op == GGML_OP_GET_ROWS && copy->src[1] == kept->tokens_ && is_shared(*copy->src[0]) &&
            ggml_backend_buffer_is_host(copy->src[0]->buffer))
            kept->embedding_ = copy->src[0];
        if (node->op == GGML_OP_SET_ROWS) {
            auto* const cache = copy->view_src;
            if (cache == nullptr || !is_shared(*cache) || cache->ne[1] != shape.cells || !ggml_is_contiguous(cache) ||
                !ggml_backend_buffer_is_host(cache->buffer))
                return nullptr;
            kept->caches_.insert(cache);
        }
        if (node->op == GGML_OP_FLASH_ATTN_EXT && !kept->keep_attention(*copy, shape.cells)) return nullptr;
        const auto layer = layer_of_output(*node);
        // A view's memory would be given to others, whoever reads it at the end.
        if (layer && std::count(shape.taps.begin(), shape.taps.end(), *layer + 1) > 0 && node->view_src == nullptr &&
            has_shape(*node, GGML_TYPE_F32, shape.width, shape.rows) && ggml_is_contiguous(node)) {
            kept->taps_[*layer + 1] = copy;
            ggml_set_output(copy);
        }
        kept->logits_ = copy;
    }
    const bool complete = kept->tokens_ != nullptr && kept->positions_ != nullptr && kept->output_rows_ != nullptr &&
                          kept->key_cells_ != nullptr && kept->value_cells_ != nullptr && kept->mask_ != nullptr &&
                          kept->views_.size() == kept->caches_.size() && kept->taps_.size() == shape.taps.size() &&
                          kept->logits_->view_src == nullptr &&
                          has_shape(*kept->logits_, GGML_TYPE_F32, shape.vocabulary, shape.outputs);
    if (!complete) return nullptr;
    ggml_set_output(kept->logits_);
    for (int i = 0; i < count; ++i)
        ggml_build_forward_expand(kept->graph_, copies.at(ggml_graph_node(original, i)));
    kept->seen_ = shape.cells;
    return kept;
}

void KeptGraph::see(int cells) {
    if (cells == seen_) return;
    seen_ = cells;
    for (const auto& view : views_)
        view.see(0, cells);
    see_cells(*mask_, cells);
}

} // namespace specdiff

#include "local_attention.h"

#include "error.h"

#include <ggml-backend.h>
#include <ggml.h>
#include <llama.h>

#include <cmath>

namespace specdiff {

namespace {

/** The mask that an attention node adds to its scores; nullptr for other nodes. */
ggml_tensor* mask_of(const ggml_tensor& node) {
    if (node.op == GGML_OP_FLASH_ATTN_EXT) return node.src[3];
    if (node.op == GGML_OP_SOFT_MAX) return node.src[1];
    return nullptr;
}

/** Hides all but the last `window` visible cells of each row [cells]. */
template <typename T> void narrow(T* values, int64_t cells, int64_t rows, int64_t window, T visible, T hidden) {
    for (int64_t row = 0; row < rows; ++row) {
        T* first = values + row * cells;
        int64_t seen = 0;
        for (int64_t cell = cells - 1; cell >= 0; --cell) {
            if (first[cell] == visible && ++seen > window) first[cell] = hidden;
        }
    }
}

} // namespace

void LocalAttention::prepare(llama_context_params& params, LayerInputs& inputs) {
    if (windows_.empty()) return;
    inputs_ = &inputs;
    inputs_watch_ = params.cb_eval != nullptr;
    params.cb_eval = [](ggml_tensor* node, bool ask, void* self) {
        return static_cast<LocalAttention*>(self)->visit(*node, ask);
    };
    params.cb_eval_user_data = this;
}

void LocalAttention::begin() {
    layer_ = 0;
    mask_ = nullptr;
}

void LocalAttention::check() const {
    if (failed_)
        throw Error("The target's local attention can't be computed in this version of llama.cpp: use another target.");
}

/**
 * Nodes up to one for which this says yes are computed at once, after all of them were asked about. So the mask may be
 * changed when a layer's attention is asked about, if the layer before was computed until then.
 */
bool LocalAttention::visit(ggml_tensor& node, bool ask) {
    const bool inputs = inputs_watch_ && inputs_->visit(node, ask);
    if (!ask) return !inputs_watch_ || inputs;
    if (auto* mask = mask_of(node)) look(*mask, windows_[layer_]);
    if (!layer_of_output(node)) return inputs;
    // A decode of several parts begins anew with each.
    layer_ = (layer_ + 1) % windows_.size();
    if (layer_ == 0) mask_ = nullptr;
    return true;
}

void LocalAttention::look(ggml_tensor& mask, int64_t window) {
    if (mask_ != &mask) {
        if (window == 0) return;
        // The graph's input, or its copy on another device: filled before the first node. A computed one would not be.
        const bool known = mask.op == GGML_OP_NONE && (mask.type == GGML_TYPE_F16 || mask.type == GGML_TYPE_F32) &&
                           ggml_is_contiguous(&mask);
        if (!known) {
            failed_ = true;
            return;
        }
        mask_ = &mask;
        window_ = 0;
        whole_.resize(ggml_nbytes(&mask));
        ggml_backend_tensor_get(&mask, whole_.data(), 0, whole_.size());
    }
    if (window == window_) return;
    window_ = window;
    std::vector<uint8_t> values(whole_);
    if (window > 0 && mask.type == GGML_TYPE_F16) {
        const auto hidden = ggml_fp32_to_fp16(-INFINITY);
        narrow<ggml_fp16_t>(reinterpret_cast<ggml_fp16_t*>(values.data()), mask.ne[0], ggml_nrows(&mask), window,
                            ggml_fp32_to_fp16(0), hidden);
    } else if (window > 0) {
        narrow<float>(reinterpret_cast<float*>(values.data()), mask.ne[0], ggml_nrows(&mask), window, 0, -INFINITY);
    }
    ggml_backend_tensor_set(&mask, values.data(), 0, values.size());
}

} // namespace specdiff

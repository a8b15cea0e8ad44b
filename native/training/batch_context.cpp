#include "batch_context.h"

#include "../core/error.h"
#include "../core/log.h"
#include "../core/network.h"

#include <llama.h>

#include <algorithm>
#include <string>
#include <utility>

namespace specdiff::training {

BatchContext::BatchContext(Model model, ThreadPool& threads, int sequences, int tokens_each,
                           const std::vector<int32_t>& layers, bool exact_cache)
    : model_(std::move(model)), threads_(threads), layer_inputs_(model_, layers), local_attention_(model_.windows()),
      context_(nullptr, llama_free), tokens_each_(std::min(tokens_each, model_.trained_context())) {
    if (!model_.causal() || !model_.can_roll_back())
        throw Error("The target can't be used for training: choose a causal language model without recurrent state.");
    for (const auto layer : layers) {
        if (layer >= model_.layers())
            throw Error("The target has " + std::to_string(model_.layers()) + " layers: choose taps below that.");
    }
    auto params = llama_context_default_params();
    params.n_ctx = static_cast<uint32_t>(tokens_each_ * sequences);
    params.n_seq_max = static_cast<uint32_t>(sequences);
    params.kv_unified = false;
    if (exact_cache) {
        params.type_k = params.type_v = GGML_TYPE_F32;
        // llama.cpp's flash attention reads keys and values as fp16, whatever the cache holds.
        params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
        if (gpu_shapes()) least_rows_ = EXACT_GPU_ROWS;
    }
    params.n_batch = MOST_ROWS;
    params.n_ubatch = MOST_ROWS;
    params.n_outputs_max = MOST_ROWS;
    params.n_threads = threads.threads();
    params.n_threads_batch = threads.threads();
    layer_inputs_.prepare(params);
    local_attention_.prepare(params, layer_inputs_);
    const LogCapture captured;
    context_.reset(llama_init_from_model(model_.get(), params));
    if (context_ == nullptr) {
        throw Error("No context for " + std::to_string(sequences) + " sequences of " + std::to_string(tokens_each_) +
                    " tokens can be made (" + captured.reason() + "): lower --sequences or --context.");
    }
    threads.attach(context_.get());
    layer_inputs_.attach(context_.get());
    if (const auto layer = layer_inputs_.unreadable()) {
        throw Error("The input of layer " + std::to_string(*layer) + " can't be read from " +
                    model_.metadata("general.architecture") + " models: choose other taps.");
    }
    batch_ = std::make_unique<llama_batch>(llama_batch_init(MOST_ROWS, 0, 1));
}

BatchContext::~BatchContext() {
    if (batch_ != nullptr) llama_batch_free(*batch_);
}

/** The rows, and others behind the last one, which it does not see, as many as there is room for. They have outputs as
 * the last one has, or the head and the last layer would see as few rows as before. */
std::vector<BatchContext::Row> BatchContext::filled(const std::vector<Row>& rows) const {
    auto all = rows;
    for (auto row = rows.back(); all.size() < least_rows_ && ++row.position < tokens_each_;)
        all.push_back(row);
    return all;
}

void BatchContext::evaluate(const std::vector<Row>& rows) {
    const auto all = filled(rows);
    batch_->n_tokens = static_cast<int32_t>(all.size());
    for (size_t i = 0; i < all.size(); ++i) {
        batch_->token[i] = all[i].token;
        batch_->pos[i] = all[i].position;
        batch_->n_seq_id[i] = 1;
        batch_->seq_id[i][0] = all[i].sequence;
        batch_->logits[i] = all[i].output ? 1 : 0;
    }
    layer_inputs_.begin(batch_->n_tokens);
    local_attention_.begin();
    const LogCapture captured;
    const int result = threads_.decode(context_.get(), *batch_);
    local_attention_.check();
    if (result != 0) {
        throw Error("The target could not evaluate " + std::to_string(rows.size()) + " tokens (code " +
                    std::to_string(result) + ", " + captured.reason() + "): lower --sequences or --context.");
    }
    if (all.size() > rows.size()) truncate(rows.back().sequence, rows.back().position + 1);
}

const float* BatchContext::logits(int row) const {
    return llama_get_logits_ith(context_.get(), row);
}

const float* BatchContext::layer_input(int32_t layer) const {
    return layer_inputs_.of(layer);
}

void BatchContext::truncate(int sequence, int length) {
    llama_memory_seq_rm(llama_get_memory(context_.get()), sequence, length, -1);
}

void BatchContext::copy(int from, int to) {
    truncate(to, 0);
    llama_memory_seq_cp(llama_get_memory(context_.get()), from, to, -1, -1);
}

} // namespace specdiff::training

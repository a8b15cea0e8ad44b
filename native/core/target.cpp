#include "target.h"

#include "error.h"
#include "log.h"

#include <llama-ext.h>
#include <llama.h>

#include <algorithm>
#include <string>
#include <utility>

namespace specdiff {

Target::Target(Model model, ThreadPool& threads, int context_tokens, std::vector<int32_t> taps)
    : model_(std::move(model)), threads_(threads), vocabulary_(model_.get()), taps_(std::move(taps)),
      context_(nullptr, llama_free) {
    if (!model_.causal())
        throw Error("The target does not write text from left to right: choose a causal language model.");
    auto params = llama_context_default_params();
    context_tokens_ =
        context_tokens > 0 ? std::min(context_tokens, model_.trained_context()) : model_.trained_context();
    params.n_ctx = static_cast<uint32_t>(context_tokens_);
    params.n_outputs_max = MAX_ROWS; // the default reserves logits for a whole batch: 100 MB for a small model
    params.n_threads = threads.threads();
    params.n_threads_batch = threads.threads();
    params.abort_callback = [](void* flag) {
        return static_cast<std::atomic<bool>*>(flag)->load(std::memory_order_relaxed);
    };
    params.abort_callback_data = &cancelled_;
    const LogCapture captured;
    context_.reset(llama_init_from_model(model_.get(), params));
    if (context_ == nullptr) {
        throw Error("No context of " + std::to_string(context_tokens_) + " tokens can be made for the target (" +
                    captured.reason() + "): lower the context setting or free memory.");
    }
    threads.attach(context_.get());
    for (const auto layer : taps_)
        llama_set_embeddings_layer_inp(context_.get(), static_cast<uint32_t>(layer), true);
    chunk_ = static_cast<int>(llama_n_ubatch(context_.get()));
    batch_ = std::make_unique<llama_batch>(llama_batch_init(std::max(chunk_, MAX_ROWS), 0, 1));
}

Target::~Target() {
    if (batch_ != nullptr) llama_batch_free(*batch_);
}

int Target::reusable_prefix(const std::vector<int32_t>& tokens) const {
    const auto limit = std::min(tokens.size(), cached_.size());
    size_t length = 0;
    while (length < limit && tokens[length] == cached_[length])
        ++length;
    return static_cast<int>(length);
}

/** Removes every row from `length` on; a memory that can't give up a part (recurrent state) loses everything. */
bool Target::truncate(int length) {
    pending_.clear();
    if (!llama_memory_seq_rm(llama_get_memory(context_.get()), 0, length, -1)) {
        forget();
        return false;
    }
    if (static_cast<size_t>(length) < cached_.size()) cached_.resize(static_cast<size_t>(length));
    return true;
}

void Target::forget() {
    llama_memory_clear(llama_get_memory(context_.get()), true);
    cached_.clear();
    pending_.clear();
}

/** One llama_decode of at most a chunk; rows from `first_output` on get logits. A failure leaves no row of it behind.
 */
void Target::decode(const int32_t* tokens, int count, int position, int first_output) {
    if (cancelled()) throw Cancelled();
    batch_->n_tokens = count;
    for (int i = 0; i < count; ++i) {
        batch_->token[i] = tokens[i];
        batch_->pos[i] = position + i;
        batch_->n_seq_id[i] = 1;
        batch_->seq_id[i][0] = 0;
        batch_->logits[i] = i >= first_output ? 1 : 0;
    }
    const LogCapture captured;
    const int result = threads_.decode(context_.get(), *batch_);
    if (result == 0) return;
    truncate(cached_tokens());
    if (result == 2) throw Cancelled();
    throw Error("The target could not evaluate " + std::to_string(count) + " tokens at position " +
                std::to_string(position) + " (code " + std::to_string(result) + ", " + captured.reason() +
                "): shorten the prompt or restart the engine.");
}

TapRows Target::taps_of(int position, int count) const {
    TapRows rows;
    rows.position = position;
    rows.count = count;
    for (const auto layer : taps_) {
        rows.taps.push_back(llama_get_embeddings_layer_inp(context_.get(), static_cast<uint32_t>(layer)));
    }
    return rows;
}

Prefill Target::prefill(const std::vector<int32_t>& tokens, int reuse_limit, const std::function<void(int)>& on_start,
                        const std::function<void(const TapRows&)>& on_rows) {
    if (tokens.empty()) throw Error("The prompt is empty: give at least one token.");
    const auto length = static_cast<int>(tokens.size());
    if (length > context_tokens_) {
        throw Error("The prompt has " + std::to_string(length) + " tokens and the context holds " +
                    std::to_string(context_tokens_) + ": shorten the prompt or raise the context setting.");
    }
    for (const auto token : tokens) {
        if (!vocabulary_.contains(token)) {
            throw Error("The prompt holds token " + std::to_string(token) +
                        ", which is outside the target's vocabulary: tokenize it with the same model.");
        }
    }
    // The last token is evaluated again even when it is cached: its row's logits start the generation.
    int reuse = std::min({reusable_prefix(tokens), reuse_limit, length - 1});
    if (reuse < cached_tokens() && !truncate(reuse)) reuse = 0;
    on_start(reuse);

    Prefill result;
    result.evaluated = length - reuse;
    for (int position = reuse; position < length; position += chunk_) {
        const int count = std::min(chunk_, length - position);
        const bool last = position + count == length;
        decode(tokens.data() + position, count, position, last ? count - 1 : count);
        cached_.insert(cached_.end(), tokens.begin() + position, tokens.begin() + position + count);
        if (!taps_.empty()) on_rows(taps_of(position, count));
        if (last) result.logits = llama_get_logits_ith(context_.get(), -1);
    }
    return result;
}

const PassRows& Target::verify(int32_t root, const Tree& tree, Want /*want*/) {
    if (!tree.is_chain()) throw Error("Only chains can be verified yet: use a drafter that proposes one.");
    const int count = static_cast<int>(tree.size()) + 1;
    if (count > MAX_ROWS) throw Error("A draft may hold at most " + std::to_string(MAX_ROWS - 1) + " tokens.");
    pending_.assign(1, root);
    for (const auto& node : tree.nodes)
        pending_.push_back(node.token);
    const int position = cached_tokens();
    decode(pending_.data(), count, position, 0);
    rows_.logits.clear();
    for (int i = 0; i < count; ++i)
        rows_.logits.push_back(llama_get_logits_ith(context_.get(), i));
    rows_.taps = taps_.empty() ? TapRows{position, count, {}} : taps_of(position, count);
    return rows_;
}

void Target::commit(int accepted) {
    const auto kept = std::min(static_cast<size_t>(accepted) + 1, pending_.size());
    cached_.insert(cached_.end(), pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(kept));
    const bool complete = kept == pending_.size();
    pending_.clear();
    if (!complete) truncate(cached_tokens());
}

} // namespace specdiff

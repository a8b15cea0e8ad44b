#include "target.h"

#include "backend.h"
#include "error.h"
#include "log.h"

#include <llama.h>

#include <algorithm>
#include <string>
#include <utility>

namespace specdiff {

namespace {

/** Cells for rows of rejected branches, in trees: so many trees can leave all their nodes behind. */
constexpr int TREES_OF_DEAD_CELLS = 8;
/** A text behind dead cells of at most so many tokens is evaluated anew with the next prompt to be rid of them. */
constexpr int SHORT_TAIL = 64;

/** Only so many as keep each row's bits those of a chain. */
int most_tree_nodes() {
    return std::min(Target::MOST_TREE_NODES, invariant_rows() - 1);
}

} // namespace

Target::Target(Model model, ThreadPool& threads, const TargetOptions& options)
    : model_(std::move(model)), threads_(threads), vocabulary_(model_.get()),
      taps_(model_, options.taps, options.taps_way), local_attention_(model_.windows()), context_(nullptr, llama_free),
      tree_nodes_(model_.can_branch() ? std::clamp(options.tree_nodes, 0, most_tree_nodes()) : 0) {
    if (!model_.causal())
        throw Error("The target does not write text from left to right: choose a causal language model.");
    auto params = llama_context_default_params();
    context_tokens_ = options.context_tokens > 0 ? std::min(options.context_tokens, model_.trained_context())
                                                 : model_.trained_context();
    params.n_ctx = static_cast<uint32_t>(context_tokens_ + tree_nodes_ * (TREES_OF_DEAD_CELLS + 1));
    // The default reserves logits for a whole batch: 100 MB for a small model.
    params.n_outputs_max = static_cast<uint32_t>(std::max(MAX_ROWS, Branches::sequences(tree_nodes_)));
    if (tree_nodes_ > 0) {
        params.n_seq_max = static_cast<uint32_t>(Branches::sequences(tree_nodes_));
        params.kv_unified = true; // all sequences in one row of cells
    }
    params.n_threads = threads.threads();
    params.n_threads_batch = threads.threads();
    params.abort_callback = [](void* flag) {
        return static_cast<std::atomic<bool>*>(flag)->load(std::memory_order_relaxed);
    };
    params.abort_callback_data = &cancelled_;
    taps_.prepare(params);
    local_attention_.prepare(params, taps_);
    const LogCapture captured;
    context_.reset(llama_init_from_model(model_.get(), params));
    if (context_ == nullptr) {
        throw Error("No context of " + std::to_string(context_tokens_) + " tokens can be made for the target (" +
                    captured.reason() + "): lower the context setting or free memory.");
    }
    threads.attach(context_.get());
    taps_.attach(context_.get());
    chunk_ = static_cast<int>(llama_n_ubatch(context_.get()));
    batch_ = std::make_unique<llama_batch>(
        llama_batch_init(std::max(chunk_, MAX_ROWS), 0, Branches::sequences(tree_nodes_)));
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
    branches_.truncate(context_.get(), length);
    if (!llama_memory_seq_rm(llama_get_memory(context_.get()), 0, length, -1)) {
        forget();
        return false;
    }
    if (static_cast<size_t>(length) < cached_.size()) cached_.resize(static_cast<size_t>(length));
    origins_.cut(length);
    return true;
}

void Target::forget() {
    // Cells that no row sees may keep what they have; a state that each row goes on from may not.
    llama_memory_clear(llama_get_memory(context_.get()), !model_.can_branch());
    branches_.reset();
    cached_.clear();
    origins_.cut(0);
    pending_.clear();
}

/** One llama_decode of at most a chunk; rows from `first_output` on get logits. */
void Target::decode(const int32_t* tokens, int count, int position, int first_output) {
    batch_->n_tokens = count;
    last_rows_ = first_output == 0 ? count : 0;
    for (int i = 0; i < count; ++i) {
        batch_->token[i] = tokens[i];
        batch_->pos[i] = position + i;
        batch_->n_seq_id[i] = 1;
        batch_->seq_id[i][0] = Branches::TRUNK;
        batch_->logits[i] = i >= first_output ? 1 : 0;
    }
    run_batch(position);
}

/** One llama_decode of the pending root and tree, its root at `position`. */
void Target::decode_tree(int position) {
    const auto& sequences = branches_.open(context_.get(), pending_tree_, position, tree_nodes_);
    batch_->n_tokens = static_cast<int32_t>(pending_.size());
    last_rows_ = static_cast<int>(pending_.size());
    for (size_t i = 0; i < pending_.size(); ++i) {
        const int parent = i == 0 ? ROOT : pending_tree_.nodes[i - 1].parent;
        batch_->token[i] = pending_[i];
        batch_->pos[i] = i == 0 ? position : batch_->pos[parent + 1] + 1;
        batch_->n_seq_id[i] = static_cast<int32_t>(sequences[i].size());
        std::copy(sequences[i].begin(), sequences[i].end(), batch_->seq_id[i]);
        batch_->logits[i] = 1;
    }
    run_batch(position);
}

/** A failure leaves no row of the batch behind. */
void Target::run_batch(int position) {
    if (cancelled()) {
        branches_.truncate(context_.get(), position);
        throw Cancelled();
    }
    taps_.begin(batch_->n_tokens);
    local_attention_.begin();
    const LogCapture captured;
    const int result = threads_.decode(context_.get(), *batch_);
    local_attention_.check();
    if (result == 0) return;
    truncate(cached_tokens());
    if (result == 2) throw Cancelled();
    throw Error("The target could not evaluate " + std::to_string(batch_->n_tokens) + " tokens at position " +
                std::to_string(position) + " (code " + std::to_string(result) + ", " + captured.reason() +
                "): shorten the prompt or restart the engine.");
}

TapRows Target::taps_of(int position, int count) const {
    TapRows rows;
    rows.position = position;
    rows.count = count;
    for (const auto layer : taps_.layers())
        rows.taps.push_back(taps_.of(layer));
    return rows;
}

/** Rows of these tokens are cached and committed. */
void Target::add_cached(const int32_t* tokens, int count, bool prompt) {
    cached_.insert(cached_.end(), tokens, tokens + count);
    origins_.add(count, prompt);
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
    const int cached_until = std::min(reusable_prefix(tokens), length - 1);
    int reuse = std::min(cached_until, reuse_limit);
    // Behind dead cells there are only rows of small batches, never a long prompt's: make_room evaluates them so.
    const bool many = length - reuse > invariant_rows();
    if (branches_.dead_cells() > 0 && (many || reuse - branches_.rows_before_dead() <= SHORT_TAIL)) {
        reuse = std::min(reuse, branches_.rows_before_dead());
        branches_.free_dead(context_.get());
    }
    reuse = origins_.begin(reuse, cached_until);
    const RowOrigins before = origins_;
    if (reuse < cached_tokens() && !truncate(reuse)) reuse = 0;
    on_start(reuse);

    Prefill result;
    result.evaluated = length - reuse;
    for (int position = reuse, count = 0; position < length; position += count) {
        const bool again = position < cached_until;
        count = again ? before.batch(position, cached_until, chunk_) : std::min(chunk_, length - position);
        // The last row as it is when the rest is cached: asked again, a prompt gets the same text.
        if (position + count == length && count > invariant_rows()) --count;
        const bool last = position + count == length;
        decode(tokens.data() + position, count, position, last ? count - 1 : count);
        add_cached(tokens.data() + position, count, count > invariant_rows());
        if (!taps_.layers().empty()) on_rows(taps_of(position, count));
        if (last) result.logits = llama_get_logits_ith(context_.get(), -1);
    }
    return result;
}

/** Frees the dead cells when the next tree might not find enough: the text behind them is evaluated anew. */
void Target::make_room() {
    if (branches_.dead_cells() <= tree_nodes_ * (TREES_OF_DEAD_CELLS - 1)) return;
    const auto first = branches_.rows_before_dead();
    const std::vector<int32_t> tail(cached_.begin() + first, cached_.end());
    branches_.free_dead(context_.get());
    truncate(first);
    const int piece = std::min(chunk_, invariant_rows());
    for (size_t done = 0; done < tail.size(); done += static_cast<size_t>(piece)) {
        const int count = std::min(piece, static_cast<int>(tail.size() - done));
        decode(tail.data() + done, count, cached_tokens(), count);
        add_cached(tail.data() + done, count, false);
    }
}

const PassRows& Target::verify(int32_t root, const Tree& tree, Want /*want*/, int rows) {
    const bool chain = tree.is_chain();
    const int most = chain ? MAX_ROWS - 1 : tree_nodes_;
    const int count = static_cast<int>(tree.size()) + 1;
    if (count > most + 1) throw Error("A draft may hold at most " + std::to_string(most) + " tokens here.");
    if (!chain) make_room();
    pending_.assign(1, root);
    for (const auto& node : tree.nodes)
        pending_.push_back(node.token);
    const int position = cached_tokens();
    const int room = std::min(most + 1, context_tokens_ - position);
    evaluated_ = rows <= room ? std::max(count, rows) : count;
    pending_.resize(static_cast<size_t>(evaluated_), root);
    pending_tree_.nodes.clear();
    // Rows that could be a tree's are evaluated as one, so that one graph serves chains and trees.
    if (evaluated_ > 1 && evaluated_ <= tree_nodes_ + 1) {
        pending_tree_.nodes = tree.nodes;
        for (int filler = count - 1; filler < evaluated_ - 1; ++filler)
            pending_tree_.nodes.push_back({root, filler - 1, POINT_MASS});
        decode_tree(position);
    } else {
        decode(pending_.data(), evaluated_, position, 0);
    }
    pending_.resize(static_cast<size_t>(count));
    rows_.logits.clear();
    for (int i = 0; i < count; ++i)
        rows_.logits.push_back(llama_get_logits_ith(context_.get(), i));
    return rows_;
}

/** Taps of the root and of a path through the last verify(), in order. */
TapRows Target::gathered_taps(const std::vector<int>& path) {
    const int position = cached_tokens();
    const auto count = static_cast<int>(path.size()) + 1;
    if (taps_.layers().empty()) return {position, count, {}};
    auto rows = taps_of(position, count);
    if (path.empty() || path.back() == count - 2) return rows; // they lie beside each other
    const auto width = static_cast<size_t>(model_.width());
    gathered_.resize(rows.taps.size());
    for (size_t tap = 0; tap < rows.taps.size(); ++tap) {
        auto& values = gathered_[tap];
        values.assign(rows.taps[tap], rows.taps[tap] + width);
        for (const int node : path) {
            const float* row = rows.taps[tap] + (static_cast<size_t>(node) + 1) * width;
            values.insert(values.end(), row, row + width);
        }
        rows.taps[tap] = values.data();
    }
    return rows;
}

TapRows Target::commit(const std::vector<int>& path) {
    auto taps = gathered_taps(path);
    add_cached(pending_.data(), 1, false);
    for (const int node : path)
        add_cached(&pending_[static_cast<size_t>(node) + 1], 1, false);
    const bool complete = static_cast<int>(path.size()) + 1 == evaluated_;
    if (!pending_tree_.empty()) {
        branches_.commit(context_.get(), pending_tree_, path);
        pending_tree_.nodes.clear();
        pending_.clear();
    } else {
        pending_.clear();
        if (!complete) truncate(cached_tokens());
    }
    return taps;
}

} // namespace specdiff

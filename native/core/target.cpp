#include "target.h"

#include "backend.h"
#include "error.h"
#include "log.h"

#include <algorithm>
#include <string>
#include <utility>

namespace specdiff {

namespace {

/** A text behind dead cells of at most so many tokens is evaluated anew with the next prompt to be rid of them. */
constexpr int SHORT_TAIL = 64;

/** Only so many as keep each row's bits those of a chain. */
int most_tree_nodes() {
    return std::min(Target::MOST_TREE_NODES, invariant_rows() - 1);
}

} // namespace

Target::Target(Model model, ThreadPool& threads, const TargetOptions& options)
    : model_(std::move(model)), vocabulary_(model_.get()),
      tree_nodes_(model_.can_branch() ? std::clamp(options.tree_nodes, 0, most_tree_nodes()) : 0) {
    if (!model_.causal())
        throw Error("The target does not write text from left to right: choose a causal language model.");
    context_tokens_ = options.context_tokens > 0 ? std::min(options.context_tokens, model_.trained_context())
                                                 : model_.trained_context();
    runner_ = make_runner(model_, threads,
                          {"the target", context_tokens_, std::max(MAX_ROWS, tree_nodes_ + 1), tree_nodes_,
                           options.taps, options.taps_way, options.runner},
                          cancelled_);
}

Target::~Target() = default;

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
    if (!runner_->truncate(length)) {
        forget();
        return false;
    }
    if (static_cast<size_t>(length) < cached_.size()) cached_.resize(static_cast<size_t>(length));
    origins_.cut(length);
    return true;
}

void Target::forget() {
    runner_->forget();
    cached_.clear();
    origins_.cut(0);
    pending_.clear();
}

/** A failure leaves no row of the pass behind. */
void Target::run(const RunnerRows& rows) {
    last_rows_ = rows.first_output == 0 ? rows.count : 0;
    const LogCapture captured;
    const int result = runner_->run(rows);
    if (result == RUN_DONE) return;
    truncate(cached_tokens());
    if (result == RUN_CANCELLED) throw Cancelled();
    throw Error("The target could not evaluate " + std::to_string(rows.count) + " tokens at position " +
                std::to_string(rows.position) + " (code " + std::to_string(result) + ", " + captured.reason() +
                "): shorten the prompt or restart the engine.");
}

TapRows Target::taps_of(int position, int count) const {
    TapRows rows;
    rows.position = position;
    rows.count = count;
    for (const auto layer : runner_->taps())
        rows.taps.push_back(runner_->tap(layer));
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
    vocabulary_.check(tokens, "prompt holds");
    // The last token is evaluated again even when it is cached: its row's logits start the generation.
    const int cached_until = std::min(reusable_prefix(tokens), length - 1);
    int reuse = std::min(cached_until, reuse_limit);
    // Behind dead cells there are only rows of small batches, never a long prompt's: make_room evaluates them so.
    const bool many = length - reuse > invariant_rows();
    if (runner_->dead_cells() > 0 && (many || reuse - runner_->rows_before_dead() <= SHORT_TAIL)) {
        reuse = std::min(reuse, runner_->rows_before_dead());
        runner_->free_dead();
    }
    reuse = origins_.begin(reuse, cached_until);
    const RowOrigins before = origins_;
    // Rows of a pass that was not committed, as something threw, lie behind the text.
    if ((reuse < cached_tokens() || !pending_.empty()) && !truncate(reuse)) reuse = 0;
    on_start(reuse);

    const int chunk = runner_->most_rows();
    Prefill result;
    result.evaluated = length - reuse;
    for (int position = reuse, count = 0; position < length; position += count) {
        const bool again = position < cached_until;
        count = again ? before.batch(position, cached_until, chunk) : std::min(chunk, length - position);
        // The last row as it is when the rest is cached: asked again, a prompt gets the same text.
        if (position + count == length && count > invariant_rows()) --count;
        const bool last = position + count == length;
        run({tokens.data() + position, count, position, nullptr, last ? count - 1 : count});
        add_cached(tokens.data() + position, count, count > invariant_rows());
        if (!taps().empty()) on_rows(taps_of(position, count));
        if (last) result.logits = runner_->logits(count - 1);
    }
    return result;
}

/** Frees the dead cells when the next tree might not find enough: the text behind them is evaluated anew. */
void Target::make_room() {
    if (!runner_->short_of_cells()) return;
    const auto first = runner_->rows_before_dead();
    const std::vector<int32_t> tail(cached_.begin() + first, cached_.end());
    runner_->free_dead();
    truncate(first);
    const int piece = std::min(runner_->most_rows(), invariant_rows());
    for (size_t done = 0; done < tail.size(); done += static_cast<size_t>(piece)) {
        const int count = std::min(piece, static_cast<int>(tail.size() - done));
        run({tail.data() + done, count, cached_tokens(), nullptr, count});
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
    // Rows that could be a tree's are evaluated as one, so that one graph of llama_decode's serves chains and trees.
    if (evaluated_ > 1 && evaluated_ <= tree_nodes_ + 1) {
        pending_tree_.nodes = tree.nodes;
        for (int filler = count - 1; filler < evaluated_ - 1; ++filler)
            pending_tree_.nodes.push_back({root, filler - 1, POINT_MASS});
        run({pending_.data(), evaluated_, position, &pending_tree_, 0});
    } else {
        run({pending_.data(), evaluated_, position, nullptr, 0});
    }
    pending_.resize(static_cast<size_t>(count));
    rows_.logits.clear();
    for (int i = 0; i < count; ++i)
        rows_.logits.push_back(runner_->logits(i));
    return rows_;
}

/** Taps of the root and of a path through the last verify(), in order. */
TapRows Target::gathered_taps(const std::vector<int>& path) {
    const int position = cached_tokens();
    const auto count = static_cast<int>(path.size()) + 1;
    if (taps().empty()) return {position, count, {}};
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
    const int position = cached_tokens();
    auto taps = gathered_taps(path);
    add_cached(pending_.data(), 1, false);
    for (const int node : path)
        add_cached(&pending_[static_cast<size_t>(node) + 1], 1, false);
    const bool complete = static_cast<int>(path.size()) + 1 == evaluated_;
    if (!pending_tree_.empty()) {
        runner_->commit(position, pending_tree_, path);
        pending_tree_.nodes.clear();
        pending_.clear();
    } else {
        pending_.clear();
        if (!complete) truncate(cached_tokens());
    }
    return taps;
}

} // namespace specdiff

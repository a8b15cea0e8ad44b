#pragma once

#include "model.h"
#include "model_runner.h"
#include "row_origins.h"
#include "threads.h"
#include "tree.h"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

struct llama_context;

namespace specdiff {

/** What the caller will read of each row. `argmax` may let a backend skip the logits; here both come from them. */
enum class Want { argmax, logits };

/** Tapped hidden states of rows of text in order, in the target's own buffers: read them before the next pass. */
struct TapRows {
    /** Position of the first row. */
    int position = 0;
    int count = 0;
    /** For each tap: [count, width]. */
    std::vector<const float*> taps;
};

/** Rows of one verify(): row 0 follows the root, row i + 1 follows node i. Valid until the next pass. */
struct PassRows {
    std::vector<const float*> logits;
};

struct Prefill {
    /** Tokens that had to be evaluated; the rest was in the cache. */
    int evaluated = 0;
    /** Logits [V] that follow the last token. */
    const float* logits = nullptr;
};

/** What a target's context is made for. */
struct TargetOptions {
    /** 0 takes the model's own. */
    int context_tokens = 0;
    /** Layers whose input is read with each pass; empty for none. */
    std::vector<int32_t> taps;
    /** As in RunnerOptions; the tests compare them. */
    LayerInputs::Way taps_way = LayerInputs::Way::automatic;
    RunnerChoice runner = RunnerChoice::automatic;
    /** Most nodes of a tree; 0 for chains alone, which then cost what they cost without trees. */
    int tree_nodes = 0;
};

/** The target model: a context with one text, its prefix cache and its tapped hidden states. */
class Target {
  public:
    /** Most rows of a chain's pass, root included. */
    static constexpr int MAX_ROWS = 65;
    /** Most nodes of a tree: llama.cpp knows 256 sequences. On a CPU with kernels for prompts 71: invariant_rows(). */
    static constexpr int MOST_TREE_NODES = 254;

    /** @throws Error where memory is short. */
    Target(Model model, ThreadPool& threads, const TargetOptions& options);
    ~Target();
    Target(const Target&) = delete;
    Target& operator=(const Target&) = delete;

    const Model& model() const { return model_; }
    const Vocabulary& vocabulary() const { return vocabulary_; }
    llama_context* context() const { return runner_->context(); }
    int context_tokens() const { return context_tokens_; }
    /** Layers whose input is read; empty where one of them can't be. */
    const std::vector<int32_t>& taps() const { return runner_->taps(); }
    /** A layer whose input this architecture's graph does not show. */
    std::optional<int32_t> unreadable_tap() const { return runner_->unreadable_tap(); }
    /** ModelRunner::embedding(). */
    const ggml_tensor* embedding() const { return runner_->embedding(); }
    /** Whether another number of rows costs nothing. */
    bool keeps_graphs() const { return runner_->keeps_graphs(); }
    int cached_tokens() const { return static_cast<int>(cached_.size()); }
    /** Most nodes of a tree; 0 where only chains can be verified. */
    int tree_nodes() const { return tree_nodes_; }
    /** Cells that rejected rows of trees hold. */
    int dead_cells() const { return runner_->dead_cells(); }
    /** Rows of the last pass, all of them with logits; 0 after other passes. Where graphs are not kept, as many reuse
     * llama.cpp's (trees of more than eight leaves where they have about as many). */
    int last_rows() const { return last_rows_; }
    /** Rows of the last verify(), with those that filled it up. */
    int evaluated() const { return evaluated_; }

    /** Ends the running pass; every pass throws Cancelled until clear_cancel(). May be called from any thread. */
    void cancel() { cancelled_.store(true, std::memory_order_relaxed); }
    void clear_cancel() { cancelled_.store(false, std::memory_order_relaxed); }
    bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }
    const std::atomic<bool>& cancel_flag() const { return cancelled_; }

    /** Length of the prefix of `tokens` that prefill() would take from the cache. */
    int reusable_prefix(const std::vector<int32_t>& tokens) const;

    /**
     * Evaluates `tokens` and keeps of the cache at most `reuse_limit` tokens of a common prefix. `on_start` gets the
     * number kept, `on_rows` the taps of each chunk. @throws Cancelled, Error.
     */
    Prefill prefill(const std::vector<int32_t>& tokens, int reuse_limit, const std::function<void(int)>& on_start,
                    const std::function<void(const TapRows&)>& on_rows);

    /**
     * Evaluates the root and a chain or tree in one pass, filled up to `rows`, where they are more, with rows that
     * nobody sees. @throws Cancelled (nothing is kept), Error.
     */
    const PassRows& verify(int32_t root, const Tree& tree, Want want, int rows = 0);
    /**
     * Keeps the rows of the root and of `path`, nodes of the last verify() from the root on, and removes the others.
     * Later rows are then what they are after the same tokens evaluated as a chain. Returns the kept rows' taps.
     * @throws Cancelled, Error where dead cells have to be freed and the text behind them evaluated anew.
     */
    TapRows commit(const std::vector<int>& path);
    /** Empties the cache. */
    void forget();

  private:
    void add_cached(const int32_t* tokens, int count, bool prompt);
    void run(const RunnerRows& rows);
    TapRows taps_of(int position, int count) const;
    TapRows gathered_taps(const std::vector<int>& path);
    bool truncate(int length);
    void make_room();

    Model model_;
    Vocabulary vocabulary_;
    std::atomic<bool> cancelled_{false};
    int context_tokens_ = 0;
    int tree_nodes_ = 0;
    std::unique_ptr<ModelRunner> runner_;
    int last_rows_ = 0;
    /** Tokens whose rows are in the cache and committed. */
    std::vector<int32_t> cached_;
    RowOrigins origins_;
    /** Tokens of the last verify(), not committed yet, root first. */
    std::vector<int32_t> pending_;
    /** Rows of their pass; more where it was filled up. */
    int evaluated_ = 0;
    /** Their tree, where it is no chain. */
    Tree pending_tree_;
    PassRows rows_;
    /** For each tap: rows of a path that do not lie beside each other. */
    std::vector<std::vector<float>> gathered_;
};

} // namespace specdiff

#pragma once

#include "model.h"
#include "threads.h"
#include "tree.h"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

struct llama_context;
struct llama_batch;

namespace specdiff {

/** What the caller will read of each row. `argmax` may let a backend skip the logits; here both come from them. */
enum class Want { argmax, logits };

/** Tapped hidden states of consecutive evaluated rows, in the target's own buffers: read them before the next pass. */
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
    TapRows taps;
};

struct Prefill {
    /** Tokens that had to be evaluated; the rest was in the cache. */
    int evaluated = 0;
    /** Logits [V] that follow the last token. */
    const float* logits = nullptr;
};

/** The target model: a context with one sequence, its prefix cache and its tapped hidden states. */
class Target {
  public:
    /** Most rows of one pass, root included. */
    static constexpr int MAX_ROWS = 64;

    /** `taps`: layers whose input is read with each pass; empty for none. @throws Error where memory is short. */
    Target(Model model, ThreadPool& threads, int context_tokens, std::vector<int32_t> taps);
    ~Target();
    Target(const Target&) = delete;
    Target& operator=(const Target&) = delete;

    const Model& model() const { return model_; }
    const Vocabulary& vocabulary() const { return vocabulary_; }
    llama_context* context() const { return context_.get(); }
    int context_tokens() const { return context_tokens_; }
    int cached_tokens() const { return static_cast<int>(cached_.size()); }

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

    /** Evaluates the root and a chain in one pass. @throws Cancelled (nothing is kept), Error. */
    const PassRows& verify(int32_t root, const Tree& tree, Want want);
    /** Keeps the root's row and the first `accepted` nodes' of the last verify(), removes the others. */
    void commit(int accepted);
    /** Empties the cache. */
    void forget();

  private:
    void decode(const int32_t* tokens, int count, int position, int first_output);
    TapRows taps_of(int position, int count) const;
    bool truncate(int length);

    Model model_;
    ThreadPool& threads_;
    Vocabulary vocabulary_;
    std::vector<int32_t> taps_;
    std::atomic<bool> cancelled_{false};
    std::unique_ptr<llama_context, void (*)(llama_context*)> context_;
    std::unique_ptr<llama_batch> batch_;
    int context_tokens_ = 0;
    int chunk_ = 0;
    /** Tokens whose rows are in the cache and committed. */
    std::vector<int32_t> cached_;
    /** Tokens of the last verify(), not committed yet. */
    std::vector<int32_t> pending_;
    PassRows rows_;
};

} // namespace specdiff

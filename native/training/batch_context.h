#pragma once

#include "../core/layer_inputs.h"
#include "../core/local_attention.h"
#include "../core/model.h"
#include "../core/threads.h"

#include <cstdint>
#include <memory>
#include <vector>

struct llama_context;
struct llama_batch;

namespace specdiff::training {

/**
 * A llama.cpp context with several sequences, each with its own part of the KV cache: attention then reads a sequence's
 * own cells only, where one cache for all would read every other's too.
 */
class BatchContext {
  public:
    struct Row {
        int sequence;
        int32_t token;
        int position;
        bool output;
    };

    /** Most rows of one pass. */
    static constexpr int MOST_ROWS = 256;

    /** `exact_cache` keeps keys and values in fp32, and has a GPU multiply in fp32 (EXACT_GPU_ROWS). @throws Error
     * where memory is short. */
    BatchContext(Model model, ThreadPool& threads, int sequences, int tokens_each, const std::vector<int32_t>& layers,
                 bool exact_cache = false);
    ~BatchContext();
    BatchContext(const BatchContext&) = delete;
    BatchContext& operator=(const BatchContext&) = delete;

    const Model& model() const { return model_; }
    int tokens_each() const { return tokens_each_; }

    /** One pass over at most MOST_ROWS rows. @throws Error. */
    void evaluate(const std::vector<Row>& rows);
    /** Logits [V] of a row of the last pass that had `output`. */
    const float* logits(int row) const;
    /** Inputs of a tapped layer in the last pass, [rows, width]. */
    const float* layer_input(int32_t layer) const;

    /** Keeps the first `length` rows of a sequence. */
    void truncate(int sequence, int length);
    /** Makes `to` a copy of `from`; truncate() then cuts it. */
    void copy(int from, int to);

  private:
    std::vector<Row> filled(const std::vector<Row>& rows) const;

    Model model_;
    ThreadPool& threads_;
    LayerInputs layer_inputs_;       // outlives the context
    LocalAttention local_attention_; // as these
    std::unique_ptr<llama_context, void (*)(llama_context*)> context_;
    std::unique_ptr<llama_batch> batch_;
    int tokens_each_;
    /** Passes of fewer rows are filled up. */
    size_t least_rows_ = 1;
};

} // namespace specdiff::training

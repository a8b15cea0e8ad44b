#pragma once

#include "cpu_backend.h"
#include "graph_memory.h"
#include "kept_graph.h"
#include "model_runner.h"
#include "runner_context.h"

#include <atomic>
#include <list>
#include <memory>

namespace specdiff {

/**
 * Graphs of llama.cpp's, kept for every number of rows of late (KeptGraph) and computed by the CPU backend itself. Row
 * i of the text lies in cell i of llama.cpp's cache: rows of an accepted path move to where a chain would have them,
 * and nothing need be freed. Where a GPU computes, llama.cpp splits its graphs, and for other attention than over one
 * plain cache nobody here writes the inputs: those are LlamaRunner's.
 */
class KeptRunner : public ModelRunner {
  public:
    /** Null where the model's graph is none that can be kept. @throws Error where memory is short. */
    static std::unique_ptr<KeptRunner> make(const Model& model, ThreadPool& threads, const RunnerOptions& options,
                                            const std::atomic<bool>& cancelled);
    ~KeptRunner() override;

    llama_context* context() const override { return context_.get(); }
    bool keeps_graphs() const override { return true; }
    int most_rows() const override { return chunk_; }
    const std::vector<int32_t>& taps() const override { return taps_; }
    std::optional<int32_t> unreadable_tap() const override { return std::nullopt; }
    const ggml_tensor* embedding() const override { return embedding_; }
    int run(const RunnerRows& rows) override;
    const float* logits(int row) const override;
    const float* tap(int32_t layer) const override;
    void commit(int position, const Tree& tree, const std::vector<int>& path) override;
    bool truncate(int /*rows*/) override { return true; }
    void forget() override {}

  private:
    struct Kept {
        int rows;
        int outputs;
        std::unique_ptr<KeptGraph> graph;
    };

    KeptRunner(const Model& model, ThreadPool& threads, const RunnerOptions& options,
               const std::atomic<bool>& cancelled);
    KeptGraph* graph_of(int rows, int outputs);
    void write_inputs(KeptGraph& graph, const RunnerRows& rows) const;
    static void write_mask(KeptGraph& graph, const RunnerRows& rows, int cells);

    ThreadPool& threads_;
    const std::atomic<bool>& cancelled_;
    std::vector<int32_t> taps_;
    LlamaContext context_;
    Backend cpu_;
    int width_;
    int vocabulary_;
    int chunk_;
    /** Cells of the cache. */
    int cells_;
    GraphMemory memory_;
    /** Those used last in front: graphs of which only the last row gets logits, and those where all do. */
    std::list<Kept> prompts_;
    std::list<Kept> passes_;
    /** Of the last pass. */
    const KeptGraph* last_ = nullptr;
    const ggml_tensor* embedding_ = nullptr;
    int first_output_ = 0;
};

} // namespace specdiff

#pragma once

#include "branches.h"
#include "layer_inputs.h"
#include "local_attention.h"
#include "model_runner.h"
#include "runner_context.h"

#include <atomic>
#include <memory>

struct llama_batch;

namespace specdiff {

/** llama_decode: any architecture, on any device. */
class LlamaRunner : public ModelRunner {
  public:
    LlamaRunner(const Model& model, ThreadPool& threads, const RunnerOptions& options,
                const std::atomic<bool>& cancelled);
    ~LlamaRunner() override;

    llama_context* context() const override { return context_.get(); }
    bool keeps_graphs() const override { return false; }
    int most_rows() const override { return chunk_; }
    const std::vector<int32_t>& taps() const override { return taps_.layers(); }
    std::optional<int32_t> unreadable_tap() const override { return taps_.unreadable(); }
    int run(const RunnerRows& rows) override;
    const float* logits(int row) const override;
    const float* tap(int32_t layer) const override { return taps_.of(layer); }
    void commit(int position, const Tree& tree, const std::vector<int>& path) override;
    bool truncate(int rows) override;
    void forget() override;
    int dead_cells() const override { return branches_.dead_cells(); }
    bool short_of_cells() const override;
    int rows_before_dead() const override { return branches_.rows_before_dead(); }
    void free_dead() override { branches_.free_dead(context_.get()); }

  private:
    bool can_branch_;
    ThreadPool& threads_;
    int tree_nodes_;
    const std::atomic<bool>& cancelled_;
    LayerInputs taps_;               // outlives the context
    LocalAttention local_attention_; // as the taps
    LlamaContext context_;
    int chunk_ = 0;
    std::unique_ptr<llama_batch, void (*)(llama_batch*)> batch_;
    Branches branches_;
};

} // namespace specdiff

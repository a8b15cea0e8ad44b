#include "llama_runner.h"

#include <llama.h>

#include <algorithm>

namespace specdiff {

namespace {

void release(llama_batch* batch) {
    llama_batch_free(*batch);
    delete batch;
}

} // namespace

LlamaRunner::LlamaRunner(const Model& model, ThreadPool& threads, const RunnerOptions& options,
                         const std::atomic<bool>& cancelled)
    : can_branch_(model.can_branch()), threads_(threads), tree_nodes_(options.tree_nodes), cancelled_(cancelled),
      taps_(model, options.taps, options.taps_way), local_attention_(model.windows()), context_(nullptr, llama_free),
      batch_(nullptr, release) {
    auto params = runner_context_params(threads, options, cancelled);
    const auto sequences = Branches::sequences(tree_nodes_);
    params.n_outputs_max = std::max(params.n_outputs_max, static_cast<uint32_t>(sequences));
    if (tree_nodes_ > 0) {
        params.n_seq_max = static_cast<uint32_t>(sequences);
        params.kv_unified = true; // all sequences in one row of cells
    }
    taps_.prepare(params);
    local_attention_.prepare(params, taps_);
    context_ = make_runner_context(model, threads, options, params);
    taps_.attach(context_.get());
    chunk_ = static_cast<int>(llama_n_ubatch(context_.get()));
    batch_.reset(new llama_batch(llama_batch_init(std::max(chunk_, sequences), 0, sequences)));
}

LlamaRunner::~LlamaRunner() = default;

int LlamaRunner::run(const RunnerRows& rows) {
    batch_->n_tokens = rows.count;
    const auto* const sequences =
        rows.tree == nullptr ? nullptr : &branches_.open(context_.get(), *rows.tree, rows.position, tree_nodes_);
    for (int i = 0; i < rows.count; ++i) {
        const auto row = static_cast<size_t>(i);
        batch_->token[i] = rows.tokens[i];
        if (sequences == nullptr) {
            batch_->pos[i] = rows.position + i;
            batch_->n_seq_id[i] = 1;
            batch_->seq_id[i][0] = Branches::TRUNK;
        } else {
            const auto& own = (*sequences)[row];
            batch_->pos[i] = i == 0 ? rows.position : batch_->pos[rows.tree->at(i - 1).parent + 1] + 1;
            batch_->n_seq_id[i] = static_cast<int32_t>(own.size());
            std::copy(own.begin(), own.end(), batch_->seq_id[i]);
        }
        batch_->logits[i] = i >= rows.first_output ? 1 : 0;
    }
    if (cancelled_.load(std::memory_order_relaxed)) return RUN_CANCELLED;
    taps_.begin(rows.count);
    local_attention_.begin();
    const int result = threads_.decode(context_.get(), *batch_);
    local_attention_.check();
    return result;
}

const float* LlamaRunner::logits(int row) const {
    return llama_get_logits_ith(context_.get(), row);
}

/** The next tree might leave more behind than there are cells for. */
bool LlamaRunner::short_of_cells() const {
    return branches_.dead_cells() > tree_nodes_ * (TREES_OF_DEAD_CELLS - 1);
}

void LlamaRunner::commit(int /*position*/, const Tree& tree, const std::vector<int>& path) {
    branches_.commit(context_.get(), tree, path);
}

/** A memory that can't give up a part (recurrent state) loses everything. */
bool LlamaRunner::truncate(int rows) {
    branches_.truncate(context_.get(), rows);
    return llama_memory_seq_rm(llama_get_memory(context_.get()), 0, rows, -1);
}

void LlamaRunner::forget() {
    // Cells that no row sees may keep what they have; a state that each row goes on from may not.
    llama_memory_clear(llama_get_memory(context_.get()), !can_branch_);
    branches_.reset();
}

} // namespace specdiff

#include "kept_runner.h"

#include "backend.h"
#include "rounding.h"

#include <ggml-backend.h>
#include <ggml.h>
#include <llama-ext.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

namespace specdiff {

namespace {

/** Half a megabyte each: of prompts, whose lengths seldom come again, and of passes with so many numbers of rows. */
constexpr size_t MOST_PROMPTS = 4;
constexpr size_t MOST_PASSES = 40;
/** Passes of up to so many rows find their graphs there: each takes 1.5 ms to copy. */
constexpr int USUAL_ROWS = 12;
/** Rows see cells in steps of so many, as with llama.cpp. */
constexpr int CELL_STEP = 256;

template <typename Value> Value* values_of(ggml_tensor* tensor) {
    return static_cast<Value*>(tensor->data);
}

} // namespace

KeptRunner::KeptRunner(const Model& model, ThreadPool& threads, const RunnerOptions& options,
                       const std::atomic<bool>& cancelled)
    : threads_(threads), cancelled_(cancelled), taps_(options.taps),
      context_(make_runner_context(model, threads, options, runner_context_params(threads, options, cancelled))),
      cpu_(make_cpu_backend(threads, cancelled)), width_(model.width()),
      vocabulary_(llama_vocab_n_tokens(llama_model_get_vocab(model.get()))),
      chunk_(static_cast<int>(llama_n_ubatch(context_.get()))), cells_(static_cast<int>(llama_n_ctx(context_.get()))),
      memory_(cpu_.get()) {}

KeptRunner::~KeptRunner() = default;

std::unique_ptr<KeptRunner> KeptRunner::make(const Model& model, ThreadPool& threads, const RunnerOptions& options,
                                             const std::atomic<bool>& cancelled) {
    if (gpu_computes() || !model.can_branch() || !model.windows().empty()) return nullptr;
    std::unique_ptr<KeptRunner> runner(new KeptRunner(model, threads, options, cancelled));
    // The greatest first: where the memory grows, graphs that have places in it have to be made anew.
    const bool keeps =
        runner->graph_of(runner->chunk_, 1) != nullptr && runner->graph_of(options.outputs, options.outputs) != nullptr;
    for (int rows = std::min(USUAL_ROWS, options.outputs); keeps && rows > 0; --rows)
        runner->graph_of(rows, rows);
    if (!keeps) return nullptr;
    if (const auto* const graph = runner->graph_of(1, 1)) runner->embedding_ = graph->embedding();
    return runner;
}

/** Null where it can't be kept, or memory is short. */
KeptGraph* KeptRunner::graph_of(int rows, int outputs) {
    const bool prompt = outputs < rows;
    auto& kept = prompt ? prompts_ : passes_;
    const auto found = std::find_if(kept.begin(), kept.end(),
                                    [&](const Kept& one) { return one.rows == rows && one.outputs == outputs; });
    if (found != kept.end()) {
        kept.splice(kept.begin(), kept, found);
        return kept.front().graph.get();
    }
    auto* const original =
        llama_graph_reserve(context_.get(), static_cast<uint32_t>(rows), 1, static_cast<uint32_t>(outputs));
    auto graph =
        original == nullptr ? nullptr : KeptGraph::copy(original, {rows, outputs, cells_, width_, vocabulary_, taps_});
    if (graph == nullptr) return nullptr;
    const auto given = memory_.give(graph->graph());
    if (given != GraphMemory::Given::kept) {
        prompts_.clear();
        passes_.clear();
        last_ = nullptr;
    }
    if (given == GraphMemory::Given::failed) return nullptr;
    if (kept.size() == (prompt ? MOST_PROMPTS : MOST_PASSES)) kept.pop_back();
    kept.push_front({rows, outputs, std::move(graph)});
    return kept.front().graph.get();
}

int KeptRunner::run(const RunnerRows& rows) {
    if (cancelled_.load(std::memory_order_relaxed)) return RUN_CANCELLED;
    if (rows.position + rows.count > cells_) return RUN_FULL;
    // llama.cpp's graph has one output at least; where none is wanted, nobody reads it.
    first_output_ = std::min(rows.first_output, rows.count - 1);
    auto* const graph = graph_of(rows.count, rows.count - first_output_);
    if (graph == nullptr) return GGML_STATUS_ALLOC_FAILED;
    last_ = graph;
    write_inputs(*graph, rows);
    const int status = threads_.compute(cpu_.get(), graph->graph());
    if (status == GGML_STATUS_SUCCESS) return RUN_DONE;
    return status == GGML_STATUS_ABORTED ? RUN_CANCELLED : status;
}

void KeptRunner::write_inputs(KeptGraph& graph, const RunnerRows& rows) const {
    const int end = rows.position + rows.count;
    const int cells = std::min(rounded_up(end, CELL_STEP), cells_);
    graph.see(cells);
    auto* const positions = values_of<int32_t>(graph.positions());
    for (int i = 0; i < rows.count; ++i) {
        const int parent = rows.tree == nullptr || i == 0 ? i - 1 : rows.tree->at(i - 1).parent + 1;
        values_of<int32_t>(graph.tokens())[i] = rows.tokens[i];
        positions[i] = i == 0 ? rows.position : positions[parent] + 1;
        values_of<int64_t>(graph.key_cells())[i] = rows.position + i;
        values_of<int64_t>(graph.value_cells())[i] = rows.position + i;
        if (i >= first_output_) values_of<int32_t>(graph.output_rows())[i - first_output_] = i;
    }
    write_mask(graph, rows, cells);
}

/** A row sees the text before the pass, itself, and of the pass's rows those on its way to the root. */
void KeptRunner::write_mask(KeptGraph& graph, const RunnerRows& rows, int cells) {
    const auto hidden = ggml_fp32_to_fp16(-std::numeric_limits<float>::infinity());
    const auto seen = ggml_fp32_to_fp16(0);
    for (int i = 0; i < rows.count; ++i) {
        auto* const row = values_of<ggml_fp16_t>(graph.mask()) + static_cast<size_t>(i) * static_cast<size_t>(cells);
        const bool chain = rows.tree == nullptr;
        const int known = rows.position + (chain ? i + 1 : 0);
        std::fill(row, row + known, seen);
        std::fill(row + known, row + cells, hidden);
        if (chain) continue;
        for (int node = i - 1; node != ROOT; node = rows.tree->at(node).parent)
            row[rows.position + 1 + node] = seen;
        row[rows.position] = seen;
    }
}

const float* KeptRunner::logits(int row) const {
    const auto* const logits = last_->logits();
    return static_cast<const float*>(logits->data) +
           static_cast<size_t>(row - first_output_) * static_cast<size_t>(logits->ne[0]);
}

const float* KeptRunner::tap(int32_t layer) const {
    return static_cast<const float*>(last_->tap(layer)->data);
}

void KeptRunner::commit(int position, const Tree& /*tree*/, const std::vector<int>& path) {
    for (size_t i = 0; i < path.size(); ++i) {
        const auto behind = static_cast<size_t>(position) + 1;
        const auto from = behind + static_cast<size_t>(path[i]);
        const auto to = behind + i;
        if (from == to) continue;
        for (const auto* cache : last_->caches()) {
            auto* const rows = static_cast<char*>(cache->data);
            std::memcpy(rows + to * cache->nb[1], rows + from * cache->nb[1], cache->nb[1]);
        }
    }
}

} // namespace specdiff

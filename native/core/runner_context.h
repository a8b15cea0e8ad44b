#pragma once

#include "model_runner.h"

#include <llama.h>

#include <atomic>
#include <memory>

namespace specdiff {

using LlamaContext = std::unique_ptr<llama_context, void (*)(llama_context*)>;

/** For one text, and `spare` cells more; `cancelled`, which outlives the context, ends a running pass. */
llama_context_params runner_context_params(const ThreadPool& threads, const RunnerOptions& options, int spare,
                                           const std::atomic<bool>& cancelled);
/** On the pool's threads. @throws Error where memory is short. */
LlamaContext make_runner_context(const Model& model, const ThreadPool& threads, const RunnerOptions& options,
                                 const llama_context_params& params);

} // namespace specdiff

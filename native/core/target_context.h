#pragma once

#include "model.h"
#include "threads.h"

#include <llama.h>

#include <atomic>
#include <memory>

namespace specdiff {

using LlamaContext = std::unique_ptr<llama_context, void (*)(llama_context*)>;

/** A context of one text for a target, and `spare` cells more; `cancelled`, which outlives it, ends a running pass. */
llama_context_params target_context_params(const ThreadPool& threads, int tokens, int spare,
                                           const std::atomic<bool>& cancelled);
/** On the pool's threads. @throws Error where memory is short. */
LlamaContext make_target_context(const Model& model, const ThreadPool& threads, const llama_context_params& params);

} // namespace specdiff

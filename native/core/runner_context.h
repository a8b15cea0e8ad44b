#pragma once

#include "model_runner.h"

#include <llama.h>

#include <atomic>
#include <memory>

namespace specdiff {

using LlamaContext = std::unique_ptr<llama_context, void (*)(llama_context*)>;

/** Cells for rows of rejected branches, where rows can't be moved: so many trees can leave all their nodes behind. */
constexpr int TREES_OF_DEAD_CELLS = 8;

/**
 * For one text and its trees, with as many cells for every runner: a model with two sets of rotations chooses by them.
 * `cancelled`, which outlives the context, ends a running pass.
 */
llama_context_params runner_context_params(const ThreadPool& threads, const RunnerOptions& options,
                                           const std::atomic<bool>& cancelled);
/** On the pool's threads. @throws Error where memory is short. */
LlamaContext make_runner_context(const Model& model, const ThreadPool& threads, const RunnerOptions& options,
                                 const llama_context_params& params);

} // namespace specdiff

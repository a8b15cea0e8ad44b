#include "runner_context.h"

#include "abort_flag.h"
#include "error.h"
#include "log.h"

#include <string>

namespace specdiff {

llama_context_params runner_context_params(const ThreadPool& threads, const RunnerOptions& options,
                                           const std::atomic<bool>& cancelled) {
    auto params = llama_context_default_params();
    params.n_ctx = static_cast<uint32_t>(options.context_tokens + options.tree_nodes * (TREES_OF_DEAD_CELLS + 1));
    // The default reserves logits for a whole batch: 100 MB for a small model.
    params.n_outputs_max = static_cast<uint32_t>(options.outputs);
    params.n_threads = threads.threads();
    params.n_threads_batch = threads.threads();
    params.abort_callback = abort_flag_is_set;
    params.abort_callback_data = abort_data(cancelled);
    return params;
}

LlamaContext make_runner_context(const Model& model, const ThreadPool& threads, const RunnerOptions& options,
                                 const llama_context_params& params) {
    const LogCapture captured;
    LlamaContext context(llama_init_from_model(model.get(), params), llama_free);
    if (context == nullptr) {
        throw Error("No context of " + std::to_string(options.context_tokens) + " tokens can be made for " +
                    options.who + " (" + captured.reason() + "): lower the context setting or free memory.");
    }
    threads.attach(context.get());
    return context;
}

} // namespace specdiff

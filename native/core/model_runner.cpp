#include "model_runner.h"

#include "kept_runner.h"
#include "llama_runner.h"
#include "log.h"

#include <cstdlib>
#include <string>
#include <string_view>

namespace specdiff {

namespace {

/** For tests, and to compare with. */
bool llama_wanted() {
    const char* const wanted = std::getenv("SPECDIFF_RUNNER");
    return wanted != nullptr && std::string_view(wanted) == "llama";
}

} // namespace

std::unique_ptr<ModelRunner> make_runner(const Model& model, ThreadPool& threads, const RunnerOptions& options,
                                         const std::atomic<bool>& cancelled) {
    std::unique_ptr<ModelRunner> runner;
    if (options.choice == RunnerChoice::automatic && !llama_wanted())
        runner = KeptRunner::make(model, threads, options, cancelled);
    // Its first context, where one was made to look at the graph, is gone by now.
    if (runner == nullptr) runner = std::make_unique<LlamaRunner>(model, threads, options, cancelled);
    log(LogLevel::info, std::string("Passes of ") + options.who +
                            (runner->keeps_graphs() ? ": graphs are kept." : ": by llama_decode."));
    return runner;
}

} // namespace specdiff

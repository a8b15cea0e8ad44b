#pragma once

#include "threads.h"

#include <atomic>
#include <memory>

struct ggml_backend;

namespace specdiff {

struct ReleaseBackend {
    void operator()(ggml_backend* backend) const;
};
using Backend = std::unique_ptr<ggml_backend, ReleaseBackend>;

/** A CPU backend of its own on the pool's threads; `cancelled`, which outlives it, ends a running graph.
 * @throws Error where no CPU backend is loaded or it can't be started. */
Backend make_cpu_backend(const ThreadPool& threads, const std::atomic<bool>& cancelled);

} // namespace specdiff

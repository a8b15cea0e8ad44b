#pragma once

#include "ggml_handles.h"
#include "threads.h"

#include <atomic>

namespace specdiff {

/** A CPU backend of its own on the pool's threads; `cancelled`, which outlives it, ends a running graph.
 * @throws Error where no CPU backend is loaded or it can't be started. */
Backend make_cpu_backend(const ThreadPool& threads, const std::atomic<bool>& cancelled);

} // namespace specdiff

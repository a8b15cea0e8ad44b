#pragma once

#include <atomic>

namespace specdiff {

/** ggml's abort callback; `flag`: a const std::atomic<bool>, set to end the running graph. */
inline bool abort_flag_is_set(void* flag) {
    return static_cast<const std::atomic<bool>*>(flag)->load(std::memory_order_relaxed);
}

/** The callback's data. */
inline void* abort_data(const std::atomic<bool>& flag) {
    return const_cast<std::atomic<bool>*>(&flag);
}

} // namespace specdiff

#include "thread_governor.h"

#include <algorithm>

namespace specdiff {

namespace {

/** Shorter times are judged by luck: a time slice is 3–4 ms. */
constexpr double WINDOW_MS = 32;
/** Share of the time: where the fastest number of threads changes, see the header. */
constexpr double CONTENDED = 0.1;
constexpr double FIRST_PATIENCE_MS = 128;
constexpr double MOST_PATIENCE_MS = 8000;

} // namespace

void ThreadGovernor::observe(double wall_ms, double waited_ms, double now_ms) {
    if (most_ <= 1) return;
    window_ms_ += wall_ms;
    window_waited_ms_ += waited_ms;
    if (window_ms_ < WINDOW_MS) return;
    const bool contended = window_waited_ms_ > CONTENDED * window_ms_;
    window_ms_ = 0;
    window_waited_ms_ = 0;

    if (contended && current_ > 1) {
        --current_;
        patience_ms_ = std::clamp(2 * patience_ms_, FIRST_PATIENCE_MS, MOST_PATIENCE_MS);
        retry_at_ms_ = now_ms + patience_ms_;
    } else if (!contended && current_ == most_) {
        patience_ms_ = 0;
    } else if (current_ < most_ && now_ms >= retry_at_ms_) {
        ++current_;
        retry_at_ms_ = now_ms + patience_ms_;
    }
}

} // namespace specdiff

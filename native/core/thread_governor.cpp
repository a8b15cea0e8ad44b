#include "thread_governor.h"

#include <algorithm>

namespace specdiff {

namespace {

/** Shorter times hold too few switches to judge by: a time slice is 3–4 ms. */
constexpr double WINDOW_MS = 16;
/** Switches a millisecond: quiet machines stay below 0.02, one busy process beside us gives 0.2 and more. */
constexpr double CONTENDED = 0.08;
constexpr double FIRST_PATIENCE_MS = 250;
constexpr double MOST_PATIENCE_MS = 8000;

} // namespace

void ThreadGovernor::observe(double wall_ms, long switches, double now_ms) {
    if (most_ <= 1) return;
    window_ms_ += wall_ms;
    window_switches_ += switches;
    if (window_ms_ < WINDOW_MS) return;
    const bool contended = static_cast<double>(window_switches_) > CONTENDED * window_ms_;
    window_ms_ = 0;
    window_switches_ = 0;

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

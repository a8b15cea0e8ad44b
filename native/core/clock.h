#pragma once

#include <chrono>

namespace specdiff {

/** Milliseconds of the steady clock. */
inline double now_ms() {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

} // namespace specdiff

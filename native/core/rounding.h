#pragma once

namespace specdiff {

/** `value`, or the next multiple of `step`. */
inline int rounded_up(int value, int step) {
    return (value + step - 1) / step * step;
}

} // namespace specdiff

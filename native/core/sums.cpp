#include "sums.h"

#include <array>
#include <cstddef>
#include <numeric>

namespace specdiff {

double sum_of(const float* values, int size) {
    constexpr int LANES = 8;
    std::array<double, LANES> sums{};
    const int whole = size - size % LANES;
    for (int i = 0; i < whole; i += LANES) {
        for (int lane = 0; lane < LANES; ++lane)
            sums[static_cast<size_t>(lane)] += values[i + lane];
    }
    for (int i = whole; i < size; ++i)
        sums[static_cast<size_t>(i - whole)] += values[i];
    return std::accumulate(sums.begin(), sums.end(), 0.0);
}

} // namespace specdiff

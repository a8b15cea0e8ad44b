#pragma once

#include <array>
#include <cstdint>

namespace specdiff {

/** Index of the greatest entry, the lowest among equals. */
int32_t argmax(const float* values, int size);

struct TopTwo {
    /** As argmax(). */
    int32_t best = 0;
    /** Greatest entry − the next one; 0 where it comes twice. */
    double margin = 0;
};

/** `size` of at least 1. */
TopTwo top_two(const float* values, int size);

/** The best few entries, best first; of equal ones the lower index. */
struct TopFew {
    static constexpr int MOST = 4;
    std::array<int32_t, MOST> tokens{};
    /** How far each lies above the best: 0 and below, never NaN or infinite. */
    std::array<float, MOST> gaps{};
    /** Fewer where there are fewer entries. */
    int count = 0;
};

/** `size` of at least 1. */
TopFew top_few(const float* values, int size);

} // namespace specdiff

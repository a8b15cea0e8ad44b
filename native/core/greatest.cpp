// Compiled with -O3 -fno-trapping-math (CMakeLists.txt), without which compilers make no vectors of the loops.
#include "greatest.h"

#include "fetch.h"
#include "vector_code.h"

#include <algorithm>
#include <cmath>

namespace specdiff {

namespace {

constexpr int TOP_BLOCK = 512;

/** The greatest of values[start, end), at most TOP_BLOCK of them; −infinity where all are NaN. */
SPECDIFF_VECTOR_CODE
float greatest_of(const float* values, int start, int end) {
    constexpr size_t LANES = 32;
    // In lanes that compilers vectorize; begun so that a NaN is never the greatest.
    std::array<float, LANES> lanes{};
    lanes.fill(-INFINITY);
    const auto keep = [](float& kept, float value) { kept = value > kept ? value : kept; };
    const float* const last = values + end;
    const float* next = values + start;
    for (; static_cast<size_t>(last - next) >= LANES; next += LANES) {
        for (size_t lane = 0; lane < LANES; ++lane)
            keep(lanes[lane], next[lane]);
    }
    for (; next < last; ++next)
        keep(lanes.front(), *next);
    for (size_t half = LANES / 2; half > 0; half /= 2) {
        for (size_t lane = 0; lane < half; ++lane)
            keep(lanes[lane], lanes[lane + half]);
    }
    return lanes.front();
}

} // namespace

TopTwo top_two(const float* values, int size) {
    // The greatest of each block first; then only the best block is looked through.
    float best = -INFINITY;
    float second = -INFINITY;
    int best_start = 0;
    for (int start = 0; start < size; start += TOP_BLOCK) {
        const int end = std::min(start + TOP_BLOCK, size);
        fetch(values + end, static_cast<size_t>(std::min(TOP_BLOCK, size - end)) * sizeof(float) / CACHE_LINE);
        const float block = greatest_of(values, start, end);
        if (block > best) {
            second = best;
            best = block;
            best_start = start;
        } else {
            second = std::max(second, block);
        }
    }
    TopTwo result;
    const int best_end = std::min(best_start + TOP_BLOCK, size);
    const float* const found = std::find(values + best_start, values + best_end, best);
    result.best = found == values + best_end ? best_start : static_cast<int32_t>(found - values);
    for (int i = best_start; i < best_end; ++i) {
        if (i != result.best) second = std::max(second, values[i]);
    }
    result.margin = static_cast<double>(values[result.best]) - static_cast<double>(second);
    return result;
}

int32_t argmax(const float* values, int size) {
    return top_two(values, size).best;
}

TopFew top_few(const float* values, int size) {
    constexpr float FARTHEST = -100; // e^-100 is nothing
    TopFew top;
    std::array<float, TopFew::MOST> kept{};
    kept.fill(-INFINITY);
    for (int start = 0; start < size; start += TOP_BLOCK) {
        const int end = std::min(start + TOP_BLOCK, size);
        if (!(greatest_of(values, start, end) > kept.back())) continue;
        for (int i = start; i < end; ++i) {
            if (!(values[i] > kept.back())) continue;
            const auto place = std::find_if(kept.begin(), kept.end(), [&](float other) { return values[i] > other; });
            const auto index = place - kept.begin();
            std::copy_backward(place, kept.end() - 1, kept.end());
            std::copy_backward(top.tokens.begin() + index, top.tokens.end() - 1, top.tokens.end());
            *place = values[i];
            top.tokens[static_cast<size_t>(index)] = i;
            top.count = std::min(top.count + 1, TopFew::MOST);
        }
    }
    // Where nothing is above −infinity the first entry is as good as any.
    top.count = std::max(top.count, 1);
    for (size_t i = 1; i < static_cast<size_t>(top.count); ++i)
        top.gaps[i] = std::max(FARTHEST, kept[i] - kept[0]); // in this order a NaN (of two infinities) goes
    return top;
}

} // namespace specdiff

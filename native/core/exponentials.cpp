// Compiled with -O3 -fno-trapping-math (CMakeLists.txt), without which compilers make no vectors of the loop.
#include "exponentials.h"

#include "sums.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace specdiff {

double exponentials(const float* x, int size, float greatest, float scale, float* to) {
    constexpr float LEAST = -87.0F;
    constexpr float LOG2_E = 1.44269504F;
    // ln 2 in two parts, so that n · ln 2 is taken off without rounding.
    constexpr float LN2_HIGH = 0.693145752F;
    constexpr float LN2_LOW = 1.42860677e-6F;
    /** Adding it rounds to a whole number, which then stands in the lowest bits. */
    constexpr float TO_WHOLE = 12582912.0F;
    for (int i = 0; i < size; ++i) {
        const float exponent = (x[i] - greatest) * scale;
        const float kept = std::max(exponent, LEAST);
        const float shifted = kept * LOG2_E + TO_WHOLE;
        const float n = shifted - TO_WHOLE;
        const float r = (kept - n * LN2_HIGH) - n * LN2_LOW;
        float p = 1.0F / 720;
        p = p * r + 1.0F / 120;
        p = p * r + 1.0F / 24;
        p = p * r + 1.0F / 6;
        p = p * r + 0.5F;
        p = p * r + 1.0F;
        p = p * r + 1.0F;
        uint32_t bits = 0;
        std::memcpy(&bits, &shifted, sizeof(bits));
        bits = (bits + 127) << 23;
        float power = 0;
        std::memcpy(&power, &bits, sizeof(power));
        to[i] = exponent < LEAST ? 0.0F : p * power;
    }
    return sum_of(to, size);
}

} // namespace specdiff

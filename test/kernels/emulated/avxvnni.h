// AVX-VNNI on vectors of 256 bits.
#pragma once

#include "instruction.h"

#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace emulated {

/** Adds four products of unsigned bytes of `a` and signed ones of `b` to each 32-bit lane, without saturation. */
EMULATED __m256i dpbusd256(__m256i sum, __m256i a, __m256i b) {
    EMULATES("vpdpbusd (VEX)");
    uint32_t s[8];
    uint8_t x[32];
    int8_t y[32];
    std::memcpy(s, &sum, sizeof(s));
    std::memcpy(x, &a, sizeof(x));
    std::memcpy(y, &b, sizeof(y));
    for (int i = 0; i < 32; ++i)
        s[i / 4] += static_cast<uint32_t>(x[i] * y[i]);
    std::memcpy(&sum, s, sizeof(s));
    return sum;
}

} // namespace emulated

#undef _mm256_dpbusd_avx_epi32
#undef _mm256_dpbusd_epi32
#define _mm256_dpbusd_avx_epi32 ::emulated::dpbusd256
#define _mm256_dpbusd_epi32 ::emulated::dpbusd256

// A block of a panel in 512-bit registers.
#pragma once

#include "../panel.h"
#include "../unroll.h"

#include <immintrin.h>

namespace specdiff::kernels::avx512 {

// Each file that includes this may be compiled for another instruction set and must keep its copies to itself.
namespace {

SPECDIFF_INLINE inline __m512 scales(const uint16_t* d) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(d)));
}

/** Vector g holds the unsigned weights 4·g … 4·g + 3 of 16 output rows. */
template <Layout L> SPECDIFF_INLINE inline void unpack(const PanelBlock<L>& block, __m512i (&w)[8]) {
    if constexpr (L == Layout::u8) {
        for (int g = 0; g < 8; ++g)
            w[g] = _mm512_loadu_si512(block.q + 64 * g);
        return;
    } else {
        const __m512i low = _mm512_set1_epi8(15);
        for (int i = 0; i < 4; ++i) {
            const __m512i x = _mm512_loadu_si512(block.q + 64 * i);
            w[i] = _mm512_and_si512(x, low);
            w[i + 4] = _mm512_and_si512(_mm512_srli_epi16(x, 4), low);
        }
        constexpr int AND_OR = 0xEA; // (a & b) | c
        if constexpr (L == Layout::u5 || L == Layout::u5_min) {
            const __m512i bit = _mm512_set1_epi8(0x10), h = _mm512_loadu_si512(block.high);
            w[0] = _mm512_ternarylogic_epi32(_mm512_slli_epi16(h, 4), bit, w[0], AND_OR);
            w[1] = _mm512_ternarylogic_epi32(_mm512_slli_epi16(h, 3), bit, w[1], AND_OR);
            w[2] = _mm512_ternarylogic_epi32(_mm512_slli_epi16(h, 2), bit, w[2], AND_OR);
            w[3] = _mm512_ternarylogic_epi32(_mm512_slli_epi16(h, 1), bit, w[3], AND_OR);
            w[4] = _mm512_ternarylogic_epi32(h, bit, w[4], AND_OR);
            w[5] = _mm512_ternarylogic_epi32(_mm512_srli_epi16(h, 1), bit, w[5], AND_OR);
            w[6] = _mm512_ternarylogic_epi32(_mm512_srli_epi16(h, 2), bit, w[6], AND_OR);
            w[7] = _mm512_ternarylogic_epi32(_mm512_srli_epi16(h, 3), bit, w[7], AND_OR);
        }
        if constexpr (L == Layout::u6) {
            const __m512i bits = _mm512_set1_epi8(0x30);
            for (int i = 0; i < 2; ++i) {
                const __m512i h = _mm512_loadu_si512(block.high + 64 * i);
                w[4 * i] = _mm512_ternarylogic_epi32(_mm512_slli_epi16(h, 4), bits, w[4 * i], AND_OR);
                w[4 * i + 1] = _mm512_ternarylogic_epi32(_mm512_slli_epi16(h, 2), bits, w[4 * i + 1], AND_OR);
                w[4 * i + 2] = _mm512_ternarylogic_epi32(h, bits, w[4 * i + 2], AND_OR);
                w[4 * i + 3] = _mm512_ternarylogic_epi32(_mm512_srli_epi16(h, 2), bits, w[4 * i + 3], AND_OR);
            }
        }
    }
}

} // namespace

} // namespace specdiff::kernels::avx512

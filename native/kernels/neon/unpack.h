// Weights of a panel block as signed bytes in registers, for four of its 16 output rows at a time.
#pragma once

#include "../panel.h"
#include "../unroll.h"

#include <arm_neon.h>

namespace specdiff::kernels::neon {

/** Output rows of a 128-bit register, and such parts in a panel. */
constexpr int PART_ROWS = 4;
constexpr int PARTS = PANEL_ROWS / PART_ROWS;

/** What is to be added to a weight as `unpack` returns it, −bias: u8's is gone, the others' unsigned bits fit. */
constexpr int bias_left(Layout l) {
    return l == Layout::u8 ? 0 : bias_of(l);
}

/** Bits `MASK` of w taken from `bits`, moved left by LEFT (negative: right). */
template <int LEFT, int MASK> SPECDIFF_INLINE inline uint8x16_t with_bits(uint8x16_t w, uint8x16_t bits) {
    if constexpr (LEFT > 0)
        bits = vshlq_n_u8(bits, LEFT);
    else if constexpr (LEFT < 0)
        bits = vshrq_n_u8(bits, -LEFT);
    return vbslq_u8(vdupq_n_u8(MASK), bits, w);
}

/** w[g]: weights 4·g to 4·g + 3 of the rows 4·part to 4·part + 3, row by row. */
template <Layout L> SPECDIFF_INLINE inline void unpack(const PanelBlock<L>& block, int part, int8x16_t (&w)[8]) {
    const int at = 16 * part;
    if constexpr (L == Layout::u8) {
        unroll<8>([&](auto g) SPECDIFF_INLINE {
            w[g] = vreinterpretq_s8_u8(veorq_u8(vld1q_u8(block.q + 64 * g + at), vdupq_n_u8(0x80)));
        });
    } else {
        uint8x16_t bits[8];
        unroll<4>([&](auto i) SPECDIFF_INLINE {
            const uint8x16_t x = vld1q_u8(block.q + 64 * i + at);
            bits[i] = vandq_u8(x, vdupq_n_u8(15));
            bits[i + 4] = vshrq_n_u8(x, 4);
        });
        if constexpr (L == Layout::u5 || L == Layout::u5_min) {
            const uint8x16_t high = vld1q_u8(block.high + at);
            unroll<8>([&](auto g) SPECDIFF_INLINE { bits[g] = with_bits<4 - g, 0x10>(bits[g], high); });
        }
        if constexpr (L == Layout::u6) {
            unroll<8>([&](auto g) SPECDIFF_INLINE {
                const uint8x16_t high = vld1q_u8(block.high + 64 * (g / 4) + at);
                bits[g] = with_bits<4 - 2 * (g % 4), 0x30>(bits[g], high);
            });
        }
        unroll<8>([&](auto g) SPECDIFF_INLINE { w[g] = vreinterpretq_s8_u8(bits[g]); });
    }
}

/** Scales or minimums of one part. */
SPECDIFF_INLINE inline float32x4_t scales(const uint16_t* d, int part) {
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(d + PART_ROWS * part)));
}

} // namespace specdiff::kernels::neon

// Attention with vectors of 8 floats in two registers: a value broadcast from memory then serves two multiplications.
// Any 64-bit ARM CPU runs this.
#include "attention.h"

#include <arm_neon.h>

#include <utility>

#include "../attention_kernel.h"

namespace specdiff::kernels::neon {

namespace {

struct Pair {
    float32x4_t low, high;
};

struct Vector8 {
    using Vec = Pair;
    static constexpr int WIDTH = 8;
    static constexpr int SCORE_CELLS = 2; // 2 cells × 4 levels of the lane tree × 2 registers
    static constexpr int VALUE_DIMS = 8;
    static constexpr int REGISTERS = 16; // pairs
    /** Counted in loads and multiplications, not timed: narrow scores load two vectors for each of their products. */
    static constexpr int WIDE_FROM = 6;

    static Vec zero() { return set(0.0f); }
    static Vec set(float x) { return {vdupq_n_f32(x), vdupq_n_f32(x)}; }
    static Vec broadcast(const float* x) {
        const float32x4_t all = vld1q_dup_f32(x);
        return {all, all};
    }
    static Vec broadcast_half(uint16_t x) {
        const float32x4_t all = vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(x)));
        return {all, all};
    }
    static Vec load(const float* x) { return {vld1q_f32(x), vld1q_f32(x + 4)}; }
    static Vec load_half(const char* x) {
        const float16x8_t half = vreinterpretq_f16_u8(vld1q_u8(reinterpret_cast<const uint8_t*>(x)));
        return {vcvt_f32_f16(vget_low_f16(half)), vcvt_high_f32_f16(half)};
    }
    static Vec load_bytes(const char* x) {
        const int16x8_t wide = vmovl_s8(vld1_s8(reinterpret_cast<const int8_t*>(x)));
        return {vcvtq_f32_s32(vmovl_s16(vget_low_s16(wide))), vcvtq_f32_s32(vmovl_high_s16(wide))};
    }
    static void store(float* to, Vec x) {
        vst1q_f32(to, x.low);
        vst1q_f32(to + 4, x.high);
    }
    static Vec add(Vec a, Vec b) { return {vaddq_f32(a.low, b.low), vaddq_f32(a.high, b.high)}; }
    static Vec sub(Vec a, Vec b) { return {vsubq_f32(a.low, b.low), vsubq_f32(a.high, b.high)}; }
    static Vec mul(Vec a, Vec b) { return {vmulq_f32(a.low, b.low), vmulq_f32(a.high, b.high)}; }
    static Vec fma(Vec a, Vec b, Vec c) { return {vfmaq_f32(c.low, a.low, b.low), vfmaq_f32(c.high, a.high, b.high)}; }
    static Vec fma_nonzero(Vec a, Vec b, Vec c) {
        const Vec sum = fma(a, b, c);
        return {vbslq_f32(vceqzq_f32(a.low), c.low, sum.low), vbslq_f32(vceqzq_f32(a.high), c.high, sum.high)};
    }
    /** b where a is NaN. */
    static Vec max(Vec a, Vec b) { return {vmaxnmq_f32(a.low, b.low), vmaxnmq_f32(a.high, b.high)}; }
    static float top(Vec x) { return vmaxnmvq_f32(vmaxnmq_f32(x.low, x.high)); }
    static Vec select_equal(Vec a, Vec b, Vec then, Vec otherwise) {
        return {vbslq_f32(vceqq_f32(a.low, b.low), then.low, otherwise.low),
                vbslq_f32(vceqq_f32(a.high, b.high), then.high, otherwise.high)};
    }
    static bool any_nan(Vec x) {
        return vminvq_u32(vandq_u32(vceqq_f32(x.low, x.low), vceqq_f32(x.high, x.high))) == 0;
    }

    static constexpr int reduce_order(int i) { return i; }
    /** Sums of 8 vectors, lane l with l + 4 first, then l + 2, l + 1. */
    static inline __attribute__((always_inline)) Vec reduce(const Vec (&x)[8]) {
        return {sums_of_four(x), sums_of_four(x + 4)};
    }

    /** Rows for columns. */
    static inline __attribute__((always_inline)) void transpose(Vec (&x)[8]) {
        for (int i = 0; i < 8; i += 4) {
            const float32x4x4_t low = four_by_four(x + i, &Vec::low), high = four_by_four(x + i, &Vec::high);
            for (int j = 0; j < 4; ++j) {
                x[i + j].low = low.val[j];
                x[i + j].high = high.val[j];
            }
        }
        for (int j = 0; j < 4; ++j)
            std::swap(x[j].high, x[4 + j].low);
    }

    /** e^x within 1 ulp or two for x ≤ 0; exactly 0 below −110 and for −∞; NaN stays NaN. */
    static Vec exp(Vec x) { return {exp(x.low), exp(x.high)}; }

  private:
    static float32x4x4_t four_by_four(const Vec* x, float32x4_t Vec::* half) {
        const float32x4x2_t a = vtrnq_f32(x[0].*half, x[1].*half), b = vtrnq_f32(x[2].*half, x[3].*half);
        const auto lower = [](float32x4_t c, float32x4_t d) { return vcombine_f32(vget_low_f32(c), vget_low_f32(d)); };
        const auto upper = [](float32x4_t c, float32x4_t d) {
            return vcombine_f32(vget_high_f32(c), vget_high_f32(d));
        };
        return {{lower(a.val[0], b.val[0]), lower(a.val[1], b.val[1]), upper(a.val[0], b.val[0]),
                 upper(a.val[1], b.val[1])}};
    }
    static inline __attribute__((always_inline)) float32x4_t sums_of_four(const Vec* x) {
        const float32x4_t a = vaddq_f32(x[0].low, x[0].high), b = vaddq_f32(x[1].low, x[1].high);
        const float32x4_t c = vaddq_f32(x[2].low, x[2].high), d = vaddq_f32(x[3].low, x[3].high);
        return vpaddq_f32(halves_added(a, b), halves_added(c, d));
    }

    /** {a0 + a2, a1 + a3, b0 + b2, b1 + b3} */
    static float32x4_t halves_added(float32x4_t a, float32x4_t b) {
        const float64x2_t c = vreinterpretq_f64_f32(a), d = vreinterpretq_f64_f32(b);
        return vaddq_f32(vreinterpretq_f32_f64(vzip1q_f64(c, d)), vreinterpretq_f32_f64(vzip2q_f64(c, d)));
    }

    static float32x4_t exp(float32x4_t x) {
        x = vmaxq_f32(x, vdupq_n_f32(-110.0f));
        const int32x4_t exponent = vcvtnq_s32_f32(vmulq_n_f32(x, 1.44269504f));
        const float32x4_t n = vcvtq_f32_s32(exponent);
        float32x4_t r = vfmsq_f32(x, n, vdupq_n_f32(0.693145752f));
        r = vfmsq_f32(r, n, vdupq_n_f32(1.42860677e-6f));
        float32x4_t p = vdupq_n_f32(1.0f / 720);
        p = vfmaq_f32(vdupq_n_f32(1.0f / 120), p, r);
        p = vfmaq_f32(vdupq_n_f32(1.0f / 24), p, r);
        p = vfmaq_f32(vdupq_n_f32(1.0f / 6), p, r);
        p = vfmaq_f32(vdupq_n_f32(0.5f), p, r);
        p = vfmaq_f32(vdupq_n_f32(1.0f), p, r);
        p = vfmaq_f32(vdupq_n_f32(1.0f), p, r);
        // In two steps, as 2^n alone is no normal number below −126.
        const int32x4_t half = vshrq_n_s32(exponent, 1);
        return vmulq_f32(vmulq_f32(p, power_of_two(half)), power_of_two(vsubq_s32(exponent, half)));
    }

    static float32x4_t power_of_two(int32x4_t n) {
        return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(n, vdupq_n_s32(127)), 23));
    }
};

using Kernel = AttentionKernel<Vector8>;

} // namespace

void attend(const Attention& a, int cache_head, int begin, int end, void* scratch) {
    Kernel::attend(a, cache_head, begin, end, scratch);
}

size_t attention_scratch(int dim, int64_t cells) {
    return Kernel::scratch_bytes(dim, cells);
}

} // namespace specdiff::kernels::neon

// Vectors of 16 floats, as the attention kernels want them.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace specdiff::kernels::avx512 {

// Each file that includes this may be compiled for another instruction set and must keep its copies to itself.
namespace {

struct Vector16 {
    using Vec = __m512;
    static constexpr int WIDTH = 16;
    static constexpr int SCORE_CELLS = 4; // 4 cells × 5 levels of the lane tree in 32 registers
    static constexpr int VALUE_DIMS = 16;
    static constexpr int REGISTERS = 32;
    static constexpr int WIDE_FROM = 11;

    static Vec zero() { return _mm512_setzero_ps(); }
    static Vec set(float x) { return _mm512_set1_ps(x); }
    static Vec broadcast(const float* x) { return _mm512_set1_ps(*x); }
    static Vec broadcast_half(uint16_t x) { return _mm512_set1_ps(_cvtsh_ss(x)); }
    static Vec load(const float* x) { return _mm512_loadu_ps(x); }
    static Vec load_half(const char* x) {
        return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(x)));
    }
    static Vec load_bytes(const char* x) {
        return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x))));
    }
    static void store(float* to, Vec x) { _mm512_storeu_ps(to, x); }
    static Vec add(Vec a, Vec b) { return _mm512_add_ps(a, b); }
    static Vec sub(Vec a, Vec b) { return _mm512_sub_ps(a, b); }
    static Vec mul(Vec a, Vec b) { return _mm512_mul_ps(a, b); }
    static Vec fma(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }
    static Vec fma_nonzero(Vec a, Vec b, Vec c) {
        return _mm512_mask3_fmadd_ps(a, b, c, _mm512_cmp_ps_mask(a, zero(), _CMP_NEQ_UQ));
    }
    /** b where a is NaN. */
    static Vec max(Vec a, Vec b) { return _mm512_max_ps(a, b); }
    static float top(Vec x) { return _mm512_reduce_max_ps(x); }
    static Vec select_equal(Vec a, Vec b, Vec then, Vec otherwise) {
        return _mm512_mask_mov_ps(otherwise, _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ), then);
    }
    static bool any_nan(Vec x) { return _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q) != 0; }

    /** Shuffles leave sum i of `reduce` at lane 4·(i % 4) + i / 4; feeding them in this order sorts them. */
    static constexpr int reduce_order(int i) { return 4 * (i % 4) + i / 4; }
    /** Sums of 16 vectors, lane l with l + 8 first, then l + 4, l + 2, l + 1. */
    static inline __attribute__((always_inline)) Vec reduce(const Vec (&x)[16]) {
        Vec a[8], b[4], c[2];
        for (int i = 0; i < 8; ++i) {
            a[i] = add(_mm512_shuffle_f32x4(x[2 * i], x[2 * i + 1], 0x44),
                       _mm512_shuffle_f32x4(x[2 * i], x[2 * i + 1], 0xEE));
        }
        for (int i = 0; i < 4; ++i) {
            b[i] = add(_mm512_shuffle_f32x4(a[2 * i], a[2 * i + 1], 0x88),
                       _mm512_shuffle_f32x4(a[2 * i], a[2 * i + 1], 0xDD));
        }
        for (int i = 0; i < 2; ++i) {
            c[i] =
                add(_mm512_shuffle_ps(b[2 * i], b[2 * i + 1], 0x44), _mm512_shuffle_ps(b[2 * i], b[2 * i + 1], 0xEE));
        }
        return add(_mm512_shuffle_ps(c[0], c[1], 0x88), _mm512_shuffle_ps(c[0], c[1], 0xDD));
    }

    /** Rows for columns. */
    static inline __attribute__((always_inline)) void transpose(Vec (&x)[16]) {
        __m512i a[16], b[16];
        for (int i = 0; i < 8; ++i) {
            a[2 * i] = _mm512_castps_si512(_mm512_unpacklo_ps(x[2 * i], x[2 * i + 1]));
            a[2 * i + 1] = _mm512_castps_si512(_mm512_unpackhi_ps(x[2 * i], x[2 * i + 1]));
        }
        for (int i = 0; i < 4; ++i) {
            b[4 * i] = _mm512_unpacklo_epi64(a[4 * i], a[4 * i + 2]);
            b[4 * i + 1] = _mm512_unpackhi_epi64(a[4 * i], a[4 * i + 2]);
            b[4 * i + 2] = _mm512_unpacklo_epi64(a[4 * i + 1], a[4 * i + 3]);
            b[4 * i + 3] = _mm512_unpackhi_epi64(a[4 * i + 1], a[4 * i + 3]);
        }
        // Quarter k of b[4·i + j]: column 4·k + j of the rows from 4·i on.
        const auto quarters = [](__m512i low, __m512i high, auto odd) {
            return odd ? _mm512_shuffle_i32x4(low, high, 0xDD) : _mm512_shuffle_i32x4(low, high, 0x88);
        };
        for (int j = 0; j < 4; ++j) {
            for (int odd = 0; odd < 2; ++odd) {
                const __m512i low = quarters(b[j], b[4 + j], odd), high = quarters(b[8 + j], b[12 + j], odd);
                x[4 * odd + j] = _mm512_castsi512_ps(quarters(low, high, 0));
                x[8 + 4 * odd + j] = _mm512_castsi512_ps(quarters(low, high, 1));
            }
        }
    }

    /** e^x within 1 ulp or two for x ≤ 0; exactly 0 below −87 (where results stop being normal) and for −∞; NaN stays.
     */
    static Vec exp(Vec x) {
        const auto normal = _mm512_cmp_ps_mask(x, set(-87.0f), _CMP_NLT_UQ);
        x = _mm512_max_ps(set(-87.0f), x);
        const Vec n =
            _mm512_roundscale_ps(_mm512_mul_ps(x, set(1.44269504f)), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
        Vec r = _mm512_fnmadd_ps(n, set(0.693145752f), x);
        r = _mm512_fnmadd_ps(n, set(1.42860677e-6f), r);
        Vec p = set(1.0f / 720);
        p = fma(p, r, set(1.0f / 120));
        p = fma(p, r, set(1.0f / 24));
        p = fma(p, r, set(1.0f / 6));
        p = fma(p, r, set(0.5f));
        p = fma(p, r, set(1.0f));
        p = fma(p, r, set(1.0f));
        return _mm512_maskz_scalef_ps(normal, p, n);
    }
};

} // namespace

} // namespace specdiff::kernels::avx512

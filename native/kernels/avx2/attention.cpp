// Attention with vectors of 8 floats.
#include "attention.h"

#include <immintrin.h>

#include "../attention_kernel.h"

namespace specdiff::kernels::avx2 {

namespace {

struct Vector8 {
    using Vec = __m256;
    static constexpr int WIDTH = 8;
    static constexpr int SCORE_CELLS = 2; // 2 cells × 4 levels of the lane tree in 16 registers
    static constexpr int VALUE_DIMS = 8;
    static constexpr int REGISTERS = 16;
    static constexpr int WIDE_FROM = 6;

    static Vec zero() { return _mm256_setzero_ps(); }
    static Vec set(float x) { return _mm256_set1_ps(x); }
    static Vec broadcast(const float* x) { return _mm256_broadcast_ss(x); }
    static Vec broadcast_half(uint16_t x) { return _mm256_set1_ps(_cvtsh_ss(x)); }
    static Vec load(const float* x) { return _mm256_loadu_ps(x); }
    static Vec load_half(const char* x) {
        return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x)));
    }
    static Vec load_bytes(const char* x) {
        return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(x))));
    }
    static void store(float* to, Vec x) { _mm256_storeu_ps(to, x); }
    static Vec add(Vec a, Vec b) { return _mm256_add_ps(a, b); }
    static Vec sub(Vec a, Vec b) { return _mm256_sub_ps(a, b); }
    static Vec mul(Vec a, Vec b) { return _mm256_mul_ps(a, b); }
    static Vec fma(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a, b, c); }
    static Vec fma_nonzero(Vec a, Vec b, Vec c) {
        return _mm256_blendv_ps(c, _mm256_fmadd_ps(a, b, c), _mm256_cmp_ps(a, zero(), _CMP_NEQ_UQ));
    }
    /** b where a is NaN. */
    static Vec max(Vec a, Vec b) { return _mm256_max_ps(a, b); }
    static float top(Vec x) {
        __m128 m = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
        m = _mm_max_ps(m, _mm_movehl_ps(m, m));
        return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
    }
    static Vec select_equal(Vec a, Vec b, Vec then, Vec otherwise) {
        return _mm256_blendv_ps(otherwise, then, _mm256_cmp_ps(a, b, _CMP_EQ_OQ));
    }
    static bool any_nan(Vec x) { return _mm256_movemask_ps(_mm256_cmp_ps(x, x, _CMP_UNORD_Q)) != 0; }

    /** Shuffles leave sum i of `reduce` at lane 4·(i % 2) + i / 2; feeding them in this order sorts them. */
    static constexpr int reduce_order(int i) { return 4 * (i % 2) + i / 2; }
    /** Sums of 8 vectors, lane l with l + 4 first, then l + 2, l + 1. */
    static inline __attribute__((always_inline)) Vec reduce(const Vec (&x)[8]) {
        Vec a[4], b[2];
        for (int i = 0; i < 4; ++i) {
            a[i] = add(_mm256_permute2f128_ps(x[2 * i], x[2 * i + 1], 0x20),
                       _mm256_permute2f128_ps(x[2 * i], x[2 * i + 1], 0x31));
        }
        for (int i = 0; i < 2; ++i) {
            b[i] =
                add(_mm256_shuffle_ps(a[2 * i], a[2 * i + 1], 0x44), _mm256_shuffle_ps(a[2 * i], a[2 * i + 1], 0xEE));
        }
        return add(_mm256_shuffle_ps(b[0], b[1], 0x88), _mm256_shuffle_ps(b[0], b[1], 0xDD));
    }

    /** Rows for columns. */
    static inline __attribute__((always_inline)) void transpose(Vec (&x)[8]) {
        Vec a[8], b[8];
        for (int i = 0; i < 4; ++i) {
            a[2 * i] = _mm256_unpacklo_ps(x[2 * i], x[2 * i + 1]);
            a[2 * i + 1] = _mm256_unpackhi_ps(x[2 * i], x[2 * i + 1]);
        }
        for (int i = 0; i < 2; ++i) {
            b[4 * i] = _mm256_shuffle_ps(a[4 * i], a[4 * i + 2], 0x44);
            b[4 * i + 1] = _mm256_shuffle_ps(a[4 * i], a[4 * i + 2], 0xEE);
            b[4 * i + 2] = _mm256_shuffle_ps(a[4 * i + 1], a[4 * i + 3], 0x44);
            b[4 * i + 3] = _mm256_shuffle_ps(a[4 * i + 1], a[4 * i + 3], 0xEE);
        }
        for (int j = 0; j < 4; ++j) {
            x[j] = _mm256_permute2f128_ps(b[j], b[4 + j], 0x20);
            x[4 + j] = _mm256_permute2f128_ps(b[j], b[4 + j], 0x31);
        }
    }

    /** e^x within 1 ulp or two for x ≤ 0; exactly 0 below −87 (where results stop being normal) and for −∞; NaN stays.
     */
    static Vec exp(Vec x) {
        const Vec least = set(-87.0f);
        const Vec tiny = _mm256_cmp_ps(x, least, _CMP_LT_OQ);
        x = _mm256_max_ps(least, x);
        const Vec n =
            _mm256_round_ps(_mm256_mul_ps(x, set(1.44269504f)), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
        Vec r = _mm256_fnmadd_ps(n, set(0.693145752f), x);
        r = _mm256_fnmadd_ps(n, set(1.42860677e-6f), r);
        Vec p = set(1.0f / 720);
        p = fma(p, r, set(1.0f / 120));
        p = fma(p, r, set(1.0f / 24));
        p = fma(p, r, set(1.0f / 6));
        p = fma(p, r, set(0.5f));
        p = fma(p, r, set(1.0f));
        p = fma(p, r, set(1.0f));
        const __m256i exponent = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
        return _mm256_andnot_ps(tiny, mul(p, _mm256_castsi256_ps(exponent)));
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

} // namespace specdiff::kernels::avx2

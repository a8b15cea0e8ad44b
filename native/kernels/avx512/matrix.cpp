// Matrix kernels on AVX-512 VNNI: vpdpbusd of 16 output rows × 4 weights with 4 broadcast activations.
#include "matrix.h"

#include "../fetch.h"
#include "../unroll.h"
#include "unpack.h"

#include <immintrin.h>

#include <algorithm>
#include <cstring>

#define INLINE SPECDIFF_INLINE

namespace specdiff::kernels::avx512 {

namespace {

INLINE inline __m512i dot4(__m512i sum, __m512i weights, const int8_t* x) {
    int32_t word;
    std::memcpy(&word, x, sizeof(word));
    return _mm512_dpbusd_epi32(sum, weights, _mm512_set1_epi32(word));
}

/** Chains of vpdpbusd side by side, one a row, u6 two, beside 16 sums and 8 weights; four would hide its cycles. */
constexpr int MOST_CHAINS = 8;

/** Adds one block's product for rows FIRST to FIRST + ROWS − 1. */
template <Layout L, int FIRST, int ROWS, size_t ALL>
INLINE inline void add_block(const __m512i (&w)[8], const PanelBlock<L>& weights, const ActivationBlock<L>* rows,
                             __m512 (&acc)[ALL]) {
    const auto* x = rows + FIRST;
    if constexpr (L == Layout::u6) {
        const __m512 d0 = scales(weights.d[0]), d1 = scales(weights.d[1]);
        __m512i s0[ROWS], s1[ROWS];
        unroll<ROWS>([&](auto t) INLINE {
            s0[t] = _mm512_set1_epi32(x[t].sum[0].bias);
            s1[t] = _mm512_set1_epi32(x[t].sum[1].bias);
        });
        unroll<4>([&](auto g) INLINE {
            unroll<ROWS>([&](auto t) INLINE {
                s0[t] = dot4(s0[t], w[g], x[t].q + 4 * g);
                s1[t] = dot4(s1[t], w[g + 4], x[t].q + 4 * g + 16);
            });
        });
        unroll<ROWS>([&](auto t) INLINE {
            const __m512 low = _mm512_mul_ps(_mm512_cvtepi32_ps(s0[t]), d0);
            const __m512 both = _mm512_fmadd_ps(_mm512_cvtepi32_ps(s1[t]), d1, low);
            acc[FIRST + t] = _mm512_fmadd_ps(both, _mm512_set1_ps(x[t].scale), acc[FIRST + t]);
        });
    } else {
        const __m512 d = scales(weights.d);
        __m512i s[ROWS];
        unroll<ROWS>([&](auto t) INLINE {
            if constexpr (has_minimum(L))
                s[t] = _mm512_setzero_si512();
            else
                s[t] = _mm512_set1_epi32(x[t].sum[0].bias);
        });
        unroll<8>([&](auto g)
                      INLINE { unroll<ROWS>([&](auto t) INLINE { s[t] = dot4(s[t], w[g], x[t].q + 4 * g); }); });
        if constexpr (has_minimum(L)) {
            const __m512 m = scales(weights.m);
            unroll<ROWS>([&](auto t) INLINE {
                acc[FIRST + t] = _mm512_fmadd_ps(m, _mm512_set1_ps(x[t].sum[0].scaled), acc[FIRST + t]);
            });
        }
        unroll<ROWS>([&](auto t) INLINE {
            const __m512 scale = _mm512_mul_ps(d, _mm512_set1_ps(x[t].scale));
            acc[FIRST + t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(s[t]), scale, acc[FIRST + t]);
        });
    }
}

/** Every row takes the same operations in the same order whatever ROWS is, so that its result has the same bits. */
template <Layout L, int ROWS>
void multiply(const void* panel, int64_t blocks, const void* tile, float* out, size_t out_stride, const void* next) {
    const auto *weights = static_cast<const PanelBlock<L>*>(panel), *ahead = static_cast<const PanelBlock<L>*>(next);
    const auto* x = static_cast<const ActivationBlock<L>*>(tile);
    __m512 acc[ROWS];
    unroll<ROWS>([&](auto t) INLINE { acc[t] = _mm512_setzero_ps(); });
    for (int64_t b = 0; b < blocks; ++b, ++weights, ++ahead, x += ROWS) {
        fetch(weights, ahead);
        __m512i w[8];
        unpack<L>(*weights, w);
        // Up to eight chains in each part: 3 to 6 % less than four with 5 to 16 rows.
        constexpr int MOST = MOST_CHAINS / (L == Layout::u6 ? 2 : 1);
        constexpr int PARTS = (ROWS + MOST - 1) / MOST, SIZE = (ROWS + PARTS - 1) / PARTS;
        unroll<PARTS>([&](auto part) INLINE {
            constexpr int FIRST = decltype(part)::value * SIZE;
            add_block<L, FIRST, std::min(SIZE, ROWS - FIRST)>(w, *weights, x, acc);
        });
    }
    unroll<ROWS>([&](auto t) INLINE { _mm512_storeu_ps(out + t * out_stride, acc[t]); });
}

template <Layout L> void quantize(const float* x, void* block) {
    auto* out = static_cast<ActivationBlock<L>*>(block);
    const __m512 x0 = _mm512_loadu_ps(x), x1 = _mm512_loadu_ps(x + 16);
    // Magnitudes compare as integers, where NaN is above infinity and infinity above every number.
    const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
    const int32_t top = _mm512_reduce_max_epi32(_mm512_max_epi32(_mm512_and_si512(_mm512_castps_si512(x0), magnitude),
                                                                 _mm512_and_si512(_mm512_castps_si512(x1), magnitude)));
    float largest;
    std::memcpy(&largest, &top, sizeof(largest));
    const bool finite = top < 0x7f800000;
    const float scale = finite ? largest / 127.0f : __builtin_nanf("");
    // Below 127 × the least normal number the inverse would overflow: such a block counts as zero.
    const float inverse = finite && largest > 1.5e-36f ? 127.0f / largest : 0.0f;
    const __m512 factor = _mm512_set1_ps(inverse);
    const __m512i q0 = _mm512_cvtps_epi32(_mm512_mul_ps(x0, factor)),
                  q1 = _mm512_cvtps_epi32(_mm512_mul_ps(x1, factor));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out->q), _mm512_cvtepi32_epi8(q0));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out->q + 16), _mm512_cvtepi32_epi8(q1));
    out->scale = scale;
    if constexpr (L == Layout::u6) {
        out->sum[0].bias = -bias_of(L) * _mm512_reduce_add_epi32(q0);
        out->sum[1].bias = -bias_of(L) * _mm512_reduce_add_epi32(q1);
    } else {
        const int32_t sum = _mm512_reduce_add_epi32(_mm512_add_epi32(q0, q1));
        if constexpr (has_minimum(L))
            out->sum[0].scaled = scale * static_cast<float>(sum);
        else
            out->sum[0].bias = -bias_of(L) * sum;
    }
}

template <Layout L, int... ROWS> constexpr MatrixKernels table(std::integer_sequence<int, ROWS...>) {
    return {sizeof(PanelBlock<L>), sizeof(ActivationBlock<L>), quantize<L>, {multiply<L, ROWS + 1>...}};
}

} // namespace

template <Layout L> MatrixKernels matrix_kernels() {
    return table<L>(std::make_integer_sequence<int, MAX_TILE>());
}

template MatrixKernels matrix_kernels<Layout::u4>();
template MatrixKernels matrix_kernels<Layout::u4_min>();
template MatrixKernels matrix_kernels<Layout::u5>();
template MatrixKernels matrix_kernels<Layout::u5_min>();
template MatrixKernels matrix_kernels<Layout::u6>();
template MatrixKernels matrix_kernels<Layout::u8>();

} // namespace specdiff::kernels::avx512

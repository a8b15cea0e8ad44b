// Matrix kernels on ARM's 8-bit matrix products: smmla of 2 output rows × 8 weights with 2 activation rows.
//
// A register of sums holds {row 0 · x, row 0 · y, row 1 · x, row 1 · y} for the activation rows x and y until the end;
// each of its lanes takes exactly the operations that the sdot kernels apply to that output.
#include "matrix.h"

#include "activations.h"
#include "unpack.h"

namespace specdiff::kernels::neon {

namespace {

/** From this many rows on: below, as many instructions go into rearranging as smmla saves. */
constexpr int MATRIX_FROM = 4;

/** One block of two activation rows, in the order smmla reads: 8 of x, 8 of y. */
template <Layout L> struct PairBlock {
    static constexpr int SUMS = L == Layout::u6 ? 2 : 1;
    int8x16_t q[4];
    float32x4_t scale;      // x, y, x, y, as the sums' lanes
    int32x4_t bias[SUMS];   // without minimum
    float32x4_t scaled_sum; // with minimum
};

SPECDIFF_INLINE inline float32x4_t alternate(float x, float y) {
    return vzip1q_f32(vdupq_n_f32(x), vdupq_n_f32(y));
}

template <Layout L>
SPECDIFF_INLINE inline void interleave(const ActivationBlock<L>& x, const ActivationBlock<L>& y, PairBlock<L>& to) {
    unroll<2>([&](auto half) SPECDIFF_INLINE {
        const int64x2_t a = vreinterpretq_s64_s8(vld1q_s8(x.q + 16 * half));
        const int64x2_t b = vreinterpretq_s64_s8(vld1q_s8(y.q + 16 * half));
        to.q[2 * half] = vreinterpretq_s8_s64(vzip1q_s64(a, b));
        to.q[2 * half + 1] = vreinterpretq_s8_s64(vzip2q_s64(a, b));
    });
    to.scale = alternate(x.scale, y.scale);
    if constexpr (has_minimum(L)) {
        to.scaled_sum = alternate(x.sum[0].scaled, y.sum[0].scaled);
    } else {
        unroll<PairBlock<L>::SUMS>([&](auto i) SPECDIFF_INLINE {
            to.bias[i] = vzip1q_s32(vdupq_n_s32(x.sum[i].bias), vdupq_n_s32(y.sum[i].bias));
        });
    }
}

/** Four scales for both halves of a part: {0, 0, 1, 1} and {2, 2, 3, 3}. */
struct HalfScales {
    float32x4_t half[2];
    SPECDIFF_INLINE HalfScales(const uint16_t* d, int part) {
        const float32x4_t all = scales(d, part);
        half[0] = vzip1q_f32(all, all);
        half[1] = vzip2q_f32(all, all);
    }
};

/** Adds `part`'s product of one block for two activation rows; w[h][k]: weights 8·k to 8·k + 7 of rows 2·h, 2·h + 1. */
template <Layout L>
SPECDIFF_INLINE inline void add_pair(const int8x16_t (&w)[2][4], const PanelBlock<L>& weights, int part,
                                     const PairBlock<L>& x, float32x4_t (&acc)[2]) {
    constexpr int SUMS = PairBlock<L>::SUMS;
    int32x4_t s[SUMS][2];
    unroll<SUMS>([&](auto i) SPECDIFF_INLINE {
        unroll<2>([&](auto h) SPECDIFF_INLINE {
            if constexpr (has_minimum(L))
                s[i][h] = vdupq_n_s32(0);
            else
                s[i][h] = x.bias[i];
        });
    });
    unroll<4>([&](auto k) SPECDIFF_INLINE {
        unroll<2>([&](auto h) SPECDIFF_INLINE {
            auto& sum = s[SUMS == 2 ? k / 2 : 0][h];
            sum = vmmlaq_s32(sum, w[h][k], x.q[k]);
        });
    });
    if constexpr (L == Layout::u6) {
        const HalfScales d0(weights.d[0], part), d1(weights.d[1], part);
        unroll<2>([&](auto h) SPECDIFF_INLINE {
            const float32x4_t low = vmulq_f32(vcvtq_f32_s32(s[0][h]), d0.half[h]);
            const float32x4_t both = vfmaq_f32(low, vcvtq_f32_s32(s[1][h]), d1.half[h]);
            acc[h] = vfmaq_f32(acc[h], both, x.scale);
        });
    } else {
        if constexpr (has_minimum(L)) {
            const HalfScales m(weights.m, part);
            unroll<2>([&](auto h) SPECDIFF_INLINE { acc[h] = vfmaq_f32(acc[h], m.half[h], x.scaled_sum); });
        }
        const HalfScales d(weights.d, part);
        unroll<2>([&](auto h) SPECDIFF_INLINE {
            acc[h] = vfmaq_f32(acc[h], vcvtq_f32_s32(s[0][h]), vmulq_f32(d.half[h], x.scale));
        });
    }
}

/** Adds the products of `blocks` blocks to the sums of the parts from `part` on. */
template <Layout L, int PAIRS, int WIDTH>
SPECDIFF_INLINE inline void add_parts(const PanelBlock<L>* weights, int64_t blocks, const PairBlock<L> (*x)[PAIRS],
                                      int part, float32x4_t (*sums)[PAIRS][2]) {
    float32x4_t acc[WIDTH][PAIRS][2];
    unroll<WIDTH>([&](auto p) SPECDIFF_INLINE {
        unroll<PAIRS>([&](auto t) SPECDIFF_INLINE {
            acc[p][t][0] = sums[part + p][t][0];
            acc[p][t][1] = sums[part + p][t][1];
        });
    });
    for (int64_t b = 0; b < blocks; ++b) {
        unroll<WIDTH>([&](auto p) SPECDIFF_INLINE {
            int8x16_t words[8], w[2][4];
            unpack<L>(weights[b], part + p, words);
            unroll<4>([&](auto k) SPECDIFF_INLINE {
                const int32x4_t a = vreinterpretq_s32_s8(words[2 * k]), c = vreinterpretq_s32_s8(words[2 * k + 1]);
                w[0][k] = vreinterpretq_s8_s32(vzip1q_s32(a, c));
                w[1][k] = vreinterpretq_s8_s32(vzip2q_s32(a, c));
            });
            unroll<PAIRS>([&](auto t) SPECDIFF_INLINE { add_pair<L>(w, weights[b], part + p, x[b][t], acc[p][t]); });
        });
    }
    unroll<WIDTH>([&](auto p) SPECDIFF_INLINE {
        unroll<PAIRS>([&](auto t) SPECDIFF_INLINE {
            sums[part + p][t][0] = acc[p][t][0];
            sums[part + p][t][1] = acc[p][t][1];
        });
    });
}

/** Every row takes the same operations in the same order whatever ROWS is; an odd last row is its own partner. */
template <Layout L, int ROWS>
void multiply(const void* panel, int64_t blocks, const void* tile, float* out, size_t out_stride,
              const void* /*next*/) {
    constexpr int PAIRS = (ROWS + 1) / 2, WIDTH = parts_at_once(ROWS);
    const auto* weights = static_cast<const PanelBlock<L>*>(panel);
    const auto* x = static_cast<const ActivationBlock<L>*>(tile);
    PairBlock<L> pairs[CHUNK][PAIRS];
    float32x4_t sums[PARTS][PAIRS][2];
    unroll<PARTS>([&](auto p) SPECDIFF_INLINE {
        unroll<PAIRS>([&](auto t) SPECDIFF_INLINE { sums[p][t][0] = sums[p][t][1] = vdupq_n_f32(0); });
    });
    for (int64_t b = 0; b < blocks; b += CHUNK) {
        const int64_t here = blocks - b < CHUNK ? blocks - b : CHUNK;
        for (int64_t i = 0; i < here; ++i, x += ROWS) {
            for (int t = 0; t < PAIRS; ++t)
                interleave<L>(x[2 * t], x[2 * t + 1 < ROWS ? 2 * t + 1 : 2 * t], pairs[i][t]);
        }
        for (int part = 0; part < PARTS; part += WIDTH)
            add_parts<L, PAIRS, WIDTH>(weights + b, here, pairs, part, sums);
    }
    unroll<PARTS>([&](auto p) SPECDIFF_INLINE {
        unroll<PAIRS>([&](auto t) SPECDIFF_INLINE {
            float* to = out + 2 * t * out_stride + PART_ROWS * p;
            vst1q_f32(to, vuzp1q_f32(sums[p][t][0], sums[p][t][1]));
            if constexpr (2 * t + 1 < ROWS) vst1q_f32(to + out_stride, vuzp2q_f32(sums[p][t][0], sums[p][t][1]));
        });
    });
}

template <Layout L, int... ROWS> MatrixKernels table(std::integer_sequence<int, ROWS...>) {
    auto kernels = dotprod_kernels<L>();
    ((kernels.multiply[MATRIX_FROM + ROWS - 1] = multiply<L, MATRIX_FROM + ROWS>), ...);
    return kernels;
}

} // namespace

template <Layout L> MatrixKernels i8mm_kernels() {
    return table<L>(std::make_integer_sequence<int, MAX_TILE - MATRIX_FROM + 1>());
}

template MatrixKernels i8mm_kernels<Layout::u4>();
template MatrixKernels i8mm_kernels<Layout::u4_min>();
template MatrixKernels i8mm_kernels<Layout::u5>();
template MatrixKernels i8mm_kernels<Layout::u5_min>();
template MatrixKernels i8mm_kernels<Layout::u6>();
template MatrixKernels i8mm_kernels<Layout::u8>();

} // namespace specdiff::kernels::neon

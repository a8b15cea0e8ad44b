// Matrix kernels on ARM's dot products: sdot of 4 output rows × 4 weights with 4 activations of one row.
#include "matrix.h"

#include "activations.h"
#include "unpack.h"

namespace specdiff::kernels::neon {

namespace {

/** Adds `part`'s product of one block for rows FIRST to FIRST + ROWS − 1. */
template <Layout L, int FIRST, int ROWS, int ALL>
SPECDIFF_INLINE inline void add_rows(const int8x16_t (&w)[8], const PanelBlock<L>& weights, int part,
                                     const ActivationBlock<L>* rows, float32x4_t (&acc)[ALL]) {
    const auto* x = rows + FIRST;
    constexpr int SUMS = L == Layout::u6 ? 2 : 1;
    int32x4_t s[SUMS][ROWS];
    unroll<SUMS>([&](auto i) SPECDIFF_INLINE {
        unroll<ROWS>([&](auto t) SPECDIFF_INLINE {
            s[i][t] = has_minimum(L) ? vdupq_n_s32(0) : vld1q_dup_s32(&x[t].sum[i].bias);
        });
    });
    unroll<2>([&](auto half) SPECDIFF_INLINE {
        int8x16_t q[ROWS];
        unroll<ROWS>([&](auto t) SPECDIFF_INLINE { q[t] = vld1q_s8(x[t].q + 16 * half); });
        unroll<4>([&](auto g) SPECDIFF_INLINE {
            unroll<ROWS>([&](auto t) SPECDIFF_INLINE {
                auto& sum = s[SUMS == 2 ? int(half) : 0][t];
                sum = vdotq_laneq_s32(sum, w[4 * half + g], q[t], g);
            });
        });
    });
    if constexpr (L == Layout::u6) {
        const float32x4_t d0 = scales(weights.d[0], part), d1 = scales(weights.d[1], part);
        unroll<ROWS>([&](auto t) SPECDIFF_INLINE {
            const float32x4_t low = vmulq_f32(vcvtq_f32_s32(s[0][t]), d0);
            const float32x4_t both = vfmaq_f32(low, vcvtq_f32_s32(s[1][t]), d1);
            acc[FIRST + t] = vfmaq_n_f32(acc[FIRST + t], both, x[t].scale);
        });
    } else {
        const float32x4_t d = scales(weights.d, part);
        if constexpr (has_minimum(L)) {
            const float32x4_t m = scales(weights.m, part);
            unroll<ROWS>([&](auto t)
                             SPECDIFF_INLINE { acc[FIRST + t] = vfmaq_n_f32(acc[FIRST + t], m, x[t].sum[0].scaled); });
        }
        unroll<ROWS>([&](auto t) SPECDIFF_INLINE {
            const float32x4_t scale = vmulq_n_f32(d, x[t].scale);
            acc[FIRST + t] = vfmaq_f32(acc[FIRST + t], vcvtq_f32_s32(s[0][t]), scale);
        });
    }
}

/** Adds the products of `blocks` blocks to the sums of the parts from `part` on. */
template <Layout L, int ROWS, int WIDTH>
SPECDIFF_INLINE inline void add_parts(const PanelBlock<L>* weights, int64_t blocks, const ActivationBlock<L>* x,
                                      int part, float32x4_t (*sums)[ROWS]) {
    float32x4_t acc[WIDTH][ROWS];
    unroll<WIDTH>(
        [&](auto p) SPECDIFF_INLINE { unroll<ROWS>([&](auto t) SPECDIFF_INLINE { acc[p][t] = sums[part + p][t]; }); });
    for (int64_t b = 0; b < blocks; ++b, ++weights, x += ROWS) {
        unroll<WIDTH>([&](auto p) SPECDIFF_INLINE {
            int8x16_t w[8];
            unpack<L>(*weights, part + p, w);
            // Two rows at a time: their sums and activations are the registers that are left.
            unroll<ROWS / 2>([&](auto pair)
                                 SPECDIFF_INLINE { add_rows<L, 2 * pair, 2>(w, *weights, part + p, x, acc[p]); });
            if constexpr (ROWS % 2 != 0) add_rows<L, ROWS - 1, 1>(w, *weights, part + p, x, acc[p]);
        });
    }
    unroll<WIDTH>(
        [&](auto p) SPECDIFF_INLINE { unroll<ROWS>([&](auto t) SPECDIFF_INLINE { sums[part + p][t] = acc[p][t]; }); });
}

/** Every row takes the same operations in the same order whatever ROWS is, so that its result has the same bits. */
template <Layout L, int ROWS>
void multiply(const void* panel, int64_t blocks, const void* tile, float* out, size_t out_stride,
              const void* /*next*/) {
    constexpr int WIDTH = parts_at_once(ROWS);
    const auto* weights = static_cast<const PanelBlock<L>*>(panel);
    const auto* x = static_cast<const ActivationBlock<L>*>(tile);
    float32x4_t sums[PARTS][ROWS];
    unroll<PARTS>([&](auto p)
                      SPECDIFF_INLINE { unroll<ROWS>([&](auto t) SPECDIFF_INLINE { sums[p][t] = vdupq_n_f32(0); }); });
    const int64_t chunk = WIDTH == PARTS ? blocks : CHUNK;
    for (int64_t b = 0; b < blocks; b += chunk) {
        const int64_t here = blocks - b < chunk ? blocks - b : chunk;
        for (int part = 0; part < PARTS; part += WIDTH)
            add_parts<L, ROWS, WIDTH>(weights + b, here, x + b * ROWS, part, sums);
    }
    unroll<PARTS>([&](auto p) SPECDIFF_INLINE {
        unroll<ROWS>([&](auto t) SPECDIFF_INLINE { vst1q_f32(out + t * out_stride + PART_ROWS * p, sums[p][t]); });
    });
}

template <Layout L, int... ROWS> constexpr MatrixKernels table(std::integer_sequence<int, ROWS...>) {
    return {sizeof(PanelBlock<L>), sizeof(ActivationBlock<L>), quantize<L>, {multiply<L, ROWS + 1>...}};
}

} // namespace

template <Layout L> MatrixKernels dotprod_kernels() {
    return table<L>(std::make_integer_sequence<int, MAX_TILE>());
}

template MatrixKernels dotprod_kernels<Layout::u4>();
template MatrixKernels dotprod_kernels<Layout::u4_min>();
template MatrixKernels dotprod_kernels<Layout::u5>();
template MatrixKernels dotprod_kernels<Layout::u5_min>();
template MatrixKernels dotprod_kernels<Layout::u6>();
template MatrixKernels dotprod_kernels<Layout::u8>();

} // namespace specdiff::kernels::neon

// Quantized activations: any 64-bit ARM CPU runs this.
#include "activations.h"

#include "unpack.h"

#include <cstring>

namespace specdiff::kernels::neon {

template <Layout L> void quantize(const float* x, void* block) {
    auto* out = static_cast<ActivationBlock<L>*>(block);
    float32x4_t value[8];
    uint32x4_t top = vdupq_n_u32(0);
    unroll<8>([&](auto i) SPECDIFF_INLINE {
        value[i] = vld1q_f32(x + 4 * i);
        // Magnitudes compare as integers, where NaN is above infinity and infinity above every number.
        top = vmaxq_u32(top, vandq_u32(vreinterpretq_u32_f32(value[i]), vdupq_n_u32(0x7fffffff)));
    });
    const uint32_t magnitude = vmaxvq_u32(top);
    float largest = 0;
    std::memcpy(&largest, &magnitude, sizeof(largest));
    const bool finite = magnitude < 0x7f800000;
    const float scale = finite ? largest / 127.0f : __builtin_nanf("");
    // Below 127 × the least normal number the inverse would overflow: such a block counts as zero.
    const float inverse = finite && largest > 1.5e-36f ? 127.0f / largest : 0.0f;

    int32x4_t q[8];
    unroll<8>([&](auto i) SPECDIFF_INLINE { q[i] = vcvtnq_s32_f32(vmulq_n_f32(value[i], inverse)); });
    int32_t sum[2];
    unroll<2>([&](auto half) SPECDIFF_INLINE {
        const int32x4_t* a = q + 4 * half;
        const int16x8_t low = vcombine_s16(vmovn_s32(a[0]), vmovn_s32(a[1]));
        const int16x8_t high = vcombine_s16(vmovn_s32(a[2]), vmovn_s32(a[3]));
        vst1q_s8(out->q + 16 * half, vcombine_s8(vmovn_s16(low), vmovn_s16(high)));
        sum[half] = vaddvq_s32(vaddq_s32(vaddq_s32(a[0], a[1]), vaddq_s32(a[2], a[3])));
    });
    out->scale = scale;
    if constexpr (L == Layout::u6) {
        out->sum[0].bias = -bias_left(L) * sum[0];
        out->sum[1].bias = -bias_left(L) * sum[1];
    } else if constexpr (has_minimum(L)) {
        out->sum[0].scaled = scale * static_cast<float>(sum[0] + sum[1]);
    } else {
        out->sum[0].bias = -bias_left(L) * (sum[0] + sum[1]);
    }
}

template void quantize<Layout::u4>(const float*, void*);
template void quantize<Layout::u4_min>(const float*, void*);
template void quantize<Layout::u5>(const float*, void*);
template void quantize<Layout::u5_min>(const float*, void*);
template void quantize<Layout::u6>(const float*, void*);
template void quantize<Layout::u8>(const float*, void*);

} // namespace specdiff::kernels::neon

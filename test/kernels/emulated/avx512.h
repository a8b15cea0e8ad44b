// The AVX-512 instructions that the kernels use, lane by lane from Intel's description of each. Default rounding (to
// nearest, ties to even), no flushing of denormal numbers but where it is part of the instruction.
#pragma once

#include "instruction.h"

#include <immintrin.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

namespace emulated {

/** A register's lanes. */
template <class T, size_t BYTES = 64> struct Lanes {
    alignas(BYTES) T at[BYTES / sizeof(T)];
    static constexpr int COUNT = BYTES / sizeof(T);

    Lanes() = default;
    template <class V> explicit Lanes(const V& v) {
        static_assert(sizeof(V) == BYTES, "a whole register");
        std::memcpy(at, &v, BYTES);
    }
    template <class V> V as() const {
        static_assert(sizeof(V) == BYTES, "a whole register");
        V v;
        std::memcpy(&v, at, BYTES);
        return v;
    }
    T& operator[](int i) { return at[i]; }
    const T& operator[](int i) const { return at[i]; }
};
using F32 = Lanes<float>;
using I32 = Lanes<int32_t>;
using U32 = Lanes<uint32_t>;
using U64 = Lanes<uint64_t>;
using U16 = Lanes<uint16_t>;
using I8 = Lanes<int8_t>;
using U8 = Lanes<uint8_t>;

template <class R, class F> inline __attribute__((always_inline)) R each(F f) {
    R r;
    for (int i = 0; i < R::COUNT; ++i)
        r[i] = f(i);
    return r;
}

inline float bits_to_float(uint32_t bits) {
    float x;
    std::memcpy(&x, &bits, sizeof(x));
    return x;
}

/** Of a NaN. */
inline bool is_quiet(float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, sizeof(bits));
    return (bits & 0x400000) != 0;
}

inline float half_to_float(uint16_t half) {
    const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16, exponent = (half >> 10) & 31,
                   mantissa = half & 0x3FF;
    if (exponent == 31) {
        const uint32_t quiet = mantissa != 0 ? 0x400000 : 0; // a signalling NaN comes out quiet
        return bits_to_float(sign | 0x7F800000 | quiet | mantissa << 13);
    }
    if (exponent != 0) return bits_to_float(sign | (exponent + 112) << 23 | mantissa << 13);
    const float small = std::ldexp(static_cast<float>(mantissa), -24);
    return sign != 0 ? -small : small;
}

// ---- moves

EMULATED __m512 setzero_ps() {
    return F32(each<F32>([](int) { return 0.0f; })).as<__m512>();
}
EMULATED __m512i setzero_si512() {
    return each<I32>([](int) { return 0; }).as<__m512i>();
}
EMULATED __m512 set1_ps(float x) {
    EMULATES("vbroadcastss");
    return each<F32>([x](int) { return x; }).as<__m512>();
}
EMULATED __m512i set1_epi32(int x) {
    EMULATES("vpbroadcastd");
    return each<I32>([x](int) { return x; }).as<__m512i>();
}
EMULATED __m512i set1_epi16(short x) {
    EMULATES("vpbroadcastw");
    return each<U16>([x](int) { return static_cast<uint16_t>(x); }).as<__m512i>();
}
EMULATED __m512i set1_epi8(char x) {
    EMULATES("vpbroadcastb");
    return each<I8>([x](int) { return static_cast<int8_t>(x); }).as<__m512i>();
}
/** From the last lane to the first. */
template <class... T> EMULATED __m512i set_epi16(T... x) {
    static_assert(sizeof...(x) == U16::COUNT, "all lanes");
    const int lanes[] = {x...};
    return each<U16>([&](int i) { return static_cast<uint16_t>(lanes[U16::COUNT - 1 - i]); }).template as<__m512i>();
}
template <class V> inline V load(const void* from) {
    V v;
    std::memcpy(&v, from, sizeof(v));
    return v;
}
inline void must_be_aligned(const void* address) {
    if (reinterpret_cast<uintptr_t>(address) % 64 != 0) __builtin_trap(); // as the hardware would fault
}
EMULATED __m512 loadu_ps(const void* from) {
    EMULATES("vmovups");
    return load<__m512>(from);
}
EMULATED __m512 load_ps(const void* from) {
    EMULATES("vmovaps");
    must_be_aligned(from);
    return load<__m512>(from);
}
EMULATED __m512i loadu_si512(const void* from) {
    EMULATES("vmovdqu32");
    return load<__m512i>(from);
}
EMULATED __m512i load_si512(const void* from) {
    EMULATES("vmovdqa32");
    must_be_aligned(from);
    return load<__m512i>(from);
}
EMULATED void storeu_ps(void* to, __m512 x) {
    EMULATES("vmovups");
    std::memcpy(to, &x, sizeof(x));
}
EMULATED void store_ps(void* to, __m512 x) {
    EMULATES("vmovaps");
    must_be_aligned(to);
    std::memcpy(to, &x, sizeof(x));
}
EMULATED void store_si512(void* to, __m512i x) {
    EMULATES("vmovdqa32");
    must_be_aligned(to);
    std::memcpy(to, &x, sizeof(x));
}
EMULATED __m512i castps_si512(__m512 x) {
    return load<__m512i>(&x);
}
EMULATED __m512 castsi512_ps(__m512i x) {
    return load<__m512>(&x);
}
EMULATED __m256i castsi512_si256(__m512i x) {
    return load<__m256i>(&x);
}
EMULATED __m256i extracti64x4_epi64(__m512i a, int half) {
    EMULATES("vextracti64x4");
    const U64 x(a);
    return each<Lanes<uint64_t, 32>>([&](int i) { return x[(half & 1) * 4 + i]; }).as<__m256i>();
}
EMULATED __m512 mask_mov_ps(__m512 otherwise, __mmask16 mask, __m512 then) {
    EMULATES("vmovaps {k}");
    const F32 a(otherwise), b(then);
    return each<F32>([&](int i) { return (mask >> i & 1) != 0 ? b[i] : a[i]; }).as<__m512>();
}
EMULATED __m512 maskz_mov_ps(__mmask16 mask, __m512 then) {
    EMULATES("vmovaps {k}{z}");
    const F32 x(then);
    return each<F32>([&](int i) { return (mask >> i & 1) != 0 ? x[i] : 0.0f; }).as<__m512>();
}
EMULATED __m512 shuffle_ps(__m512 a, __m512 b, int imm) {
    EMULATES("vshufps");
    const F32 x(a), y(b);
    return each<F32>([&](int i) {
               const int lane = i / 4 * 4 + (imm >> i % 4 * 2 & 3);
               return i % 4 < 2 ? x[lane] : y[lane];
           })
        .as<__m512>();
}
/** Two times 128 bits of a, two times of b; which: two bits of the immediate each. */
template <class V> inline V quarters(V a, V b, int imm) {
    const U32 x(a), y(b);
    return each<U32>([&](int i) {
               const int lane = (imm >> i / 4 * 2 & 3) * 4 + i % 4;
               return i < 8 ? x[lane] : y[lane];
           })
        .template as<V>();
}
EMULATED __m512 shuffle_f32x4(__m512 a, __m512 b, int imm) {
    EMULATES("vshuff32x4");
    return quarters(a, b, imm);
}
EMULATED __m512i shuffle_i32x4(__m512i a, __m512i b, int imm) {
    EMULATES("vshufi32x4");
    return quarters(a, b, imm);
}
/** Lanes of both in turn, those of the lower (PART 0) or upper half of each 128 bits. */
template <class R, int PART, class V> inline V unpack(V a, V b) {
    const R x(a), y(b);
    constexpr int quarter = R::COUNT / 4;
    return each<R>([&](int i) {
               const int lane = i / quarter * quarter + PART * quarter / 2 + i % quarter / 2;
               return i % 2 == 0 ? x[lane] : y[lane];
           })
        .template as<V>();
}
EMULATED __m512 unpacklo_ps(__m512 a, __m512 b) {
    EMULATES("vunpcklps");
    return unpack<F32, 0>(a, b);
}
EMULATED __m512 unpackhi_ps(__m512 a, __m512 b) {
    EMULATES("vunpckhps");
    return unpack<F32, 1>(a, b);
}
EMULATED __m512i unpacklo_epi64(__m512i a, __m512i b) {
    EMULATES("vpunpcklqdq");
    return unpack<U64, 0>(a, b);
}
EMULATED __m512i unpackhi_epi64(__m512i a, __m512i b) {
    EMULATES("vpunpckhqdq");
    return unpack<U64, 1>(a, b);
}
/** Lane i: lane places[i] of x. */
EMULATED __m512i permutexvar_epi16(__m512i places, __m512i x) {
    EMULATES("vpermw");
    const U16 p(places), from(x);
    return each<U16>([&](int i) { return from[p[i] % 32]; }).as<__m512i>();
}

// ---- floats

EMULATED __m512 add_ps(__m512 a, __m512 b) {
    EMULATES("vaddps");
    const F32 x(a), y(b);
    return each<F32>([&](int i) { return x[i] + y[i]; }).as<__m512>();
}
EMULATED __m512 sub_ps(__m512 a, __m512 b) {
    EMULATES("vsubps");
    const F32 x(a), y(b);
    return each<F32>([&](int i) { return x[i] - y[i]; }).as<__m512>();
}
EMULATED __m512 mul_ps(__m512 a, __m512 b) {
    EMULATES("vmulps");
    const F32 x(a), y(b);
    return each<F32>([&](int i) { return x[i] * y[i]; }).as<__m512>();
}
EMULATED __m512 fmadd_ps(__m512 a, __m512 b, __m512 c) {
    EMULATES("vfmadd231ps");
    const F32 x(a), y(b), z(c);
    return each<F32>([&](int i) { return __builtin_fmaf(x[i], y[i], z[i]); }).as<__m512>();
}
EMULATED __m512 fnmadd_ps(__m512 a, __m512 b, __m512 c) {
    EMULATES("vfnmadd231ps");
    const F32 x(a), y(b), z(c);
    return each<F32>([&](int i) { return __builtin_fmaf(-x[i], y[i], z[i]); }).as<__m512>();
}
EMULATED __m512 mask3_fmadd_ps(__m512 a, __m512 b, __m512 c, __mmask16 mask) {
    EMULATES("vfmadd231ps {k}");
    const F32 x(a), y(b), z(c);
    return each<F32>([&](int i) { return (mask >> i & 1) != 0 ? __builtin_fmaf(x[i], y[i], z[i]) : z[i]; })
        .as<__m512>();
}
/** b where either is NaN or both are zero. */
EMULATED __m512 max_ps(__m512 a, __m512 b) {
    EMULATES("vmaxps");
    const F32 x(a), y(b);
    return each<F32>([&](int i) { return x[i] > y[i] ? x[i] : y[i]; }).as<__m512>();
}
/** Upper half with lower half, until one is left, as the compiler's sequence of vmaxps does. */
EMULATED float reduce_max_ps(__m512 a) {
    EMULATES("vmaxps");
    F32 x(a);
    for (int half = 8; half > 0; half /= 2) {
        for (int i = 0; i < half; ++i)
            x[i] = x[i + half] > x[i] ? x[i + half] : x[i];
    }
    return x[0];
}
EMULATED __mmask16 cmp_ps_mask(__m512 a, __m512 b, int predicate) {
    EMULATES("vcmpps");
    const F32 x(a), y(b);
    unsigned mask = 0;
    for (int i = 0; i < 16; ++i) {
        const bool unordered = std::isnan(x[i]) || std::isnan(y[i]);
        bool result = false;
        switch (predicate) {
        case _CMP_EQ_OQ:
            result = x[i] == y[i];
            break;
        case _CMP_NEQ_UQ:
            result = unordered || x[i] != y[i];
            break;
        case _CMP_UNORD_Q:
            result = unordered;
            break;
        case _CMP_NLT_UQ:
            result = unordered || x[i] >= y[i];
            break;
        default:
            __builtin_trap();
        }
        mask |= static_cast<unsigned>(result) << i;
    }
    return static_cast<__mmask16>(mask);
}
/** Immediate: the classes that count. */
EMULATED __mmask16 fpclass_ps_mask(__m512 a, int imm) {
    EMULATES("vfpclassps");
    constexpr int QUIET_NAN = 0x01, INFINITE = 0x08, MINUS_INFINITE = 0x10, SIGNALLING_NAN = 0x80;
    if ((imm & ~(QUIET_NAN | INFINITE | MINUS_INFINITE | SIGNALLING_NAN)) != 0) __builtin_trap(); // all that is used
    const U32 x(a);
    unsigned mask = 0;
    for (int i = 0; i < 16; ++i) {
        if ((x[i] & 0x7F800000) != 0x7F800000) continue;
        const int nan = (x[i] & 0x400000) != 0 ? QUIET_NAN : SIGNALLING_NAN,
                  infinite = x[i] >> 31 != 0 ? MINUS_INFINITE : INFINITE,
                  kind = (x[i] & 0x7FFFFF) != 0 ? nan : infinite;
        mask |= static_cast<unsigned>((imm & kind) != 0) << i;
    }
    return static_cast<__mmask16>(mask);
}
/** Immediate: bits 4–7 binary places to keep, 0–1 the way to round. */
EMULATED __m512 roundscale_ps(__m512 a, int imm) {
    EMULATES("vrndscaleps");
    if ((imm & 0xF7) != _MM_FROUND_TO_NEAREST_INT) __builtin_trap(); // to whole numbers, to nearest: all that is used
    const F32 x(a);
    return each<F32>([&](int i) { return std::nearbyint(x[i]); }).as<__m512>();
}
/** a · 2^floor(b), rounded once. */
inline float scaled(float a, float b) {
    const float limit = b > 0 ? std::numeric_limits<float>::infinity() : 0.0f; // for infinite b
    if (std::isnan(a)) return std::isinf(b) && is_quiet(a) ? limit : a + a;
    if (std::isnan(b)) return b + b;
    if (std::isinf(b)) {
        const bool undefined = b > 0 ? a == 0.0f : std::isinf(a);
        return undefined ? bits_to_float(0xFFC00000) : std::copysign(limit, a);
    }
    const float power = std::floor(b);
    return std::ldexp(a, static_cast<int>(power > 4096 ? 4096 : power < -4096 ? -4096 : power));
}
EMULATED __m512 scalef_ps(__m512 a, __m512 b) {
    EMULATES("vscalefps");
    const F32 x(a), y(b);
    return each<F32>([&](int i) { return scaled(x[i], y[i]); }).as<__m512>();
}
EMULATED __m512 maskz_scalef_ps(__mmask16 mask, __m512 a, __m512 b) {
    EMULATES("vscalefps {k}{z}");
    const F32 x(a), y(b);
    return each<F32>([&](int i) { return (mask >> i & 1) != 0 ? scaled(x[i], y[i]) : 0.0f; }).as<__m512>();
}

// ---- conversions

EMULATED __m512 cvtph_ps(__m256i a) {
    EMULATES("vcvtph2ps");
    const Lanes<uint16_t, 32> x(a);
    return each<F32>([&](int i) { return half_to_float(x[i]); }).as<__m512>();
}
/** To nearest, whatever MXCSR says; denormal numbers become zero. */
inline uint16_t float_to_bf16(uint32_t bits) {
    const uint32_t magnitude = bits & 0x7FFFFFFF;
    if (magnitude > 0x7F800000) return static_cast<uint16_t>(bits >> 16 | 0x40); // a NaN comes out quiet
    if (magnitude < 0x00800000) return static_cast<uint16_t>(bits >> 16 & 0x8000);
    return static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16); // infinity stays
}
/** Of b in the lower half, of a in the upper. */
EMULATED __m512bh cvtne2ps_pbh(__m512 a, __m512 b) {
    EMULATES("vcvtne2ps2bf16");
    const U32 high(a), low(b);
    return each<U16>([&](int i) { return float_to_bf16(i < 16 ? low[i] : high[i - 16]); }).as<__m512bh>();
}
EMULATED __m512 cvtepi32_ps(__m512i a) {
    EMULATES("vcvtdq2ps");
    const I32 x(a);
    return each<F32>([&](int i) { return static_cast<float>(x[i]); }).as<__m512>();
}
/** NaN and what doesn't fit become the least integer. */
EMULATED __m512i cvtps_epi32(__m512 a) {
    EMULATES("vcvtps2dq");
    const F32 x(a);
    return each<I32>([&](int i) {
               const float whole = std::nearbyint(x[i]);
               const bool fits = whole >= -2147483648.0f && whole < 2147483648.0f;
               return fits ? static_cast<int32_t>(whole) : std::numeric_limits<int32_t>::min();
           })
        .as<__m512i>();
}
EMULATED __m512i cvtepi8_epi32(__m128i a) {
    EMULATES("vpmovsxbd");
    const Lanes<int8_t, 16> x(a);
    return each<I32>([&](int i) { return static_cast<int32_t>(x[i]); }).as<__m512i>();
}
EMULATED __m512i cvtepu16_epi32(__m256i a) {
    EMULATES("vpmovzxwd");
    const Lanes<uint16_t, 32> x(a);
    return each<U32>([&](int i) { return static_cast<uint32_t>(x[i]); }).as<__m512i>();
}
/** Truncates. */
EMULATED __m128i cvtepi32_epi8(__m512i a) {
    EMULATES("vpmovdb");
    const U32 x(a);
    return each<Lanes<uint8_t, 16>>([&](int i) { return static_cast<uint8_t>(x[i]); }).as<__m128i>();
}

// ---- integers

EMULATED __m512i and_si512(__m512i a, __m512i b) {
    EMULATES("vpandd");
    const U32 x(a), y(b);
    return each<U32>([&](int i) { return x[i] & y[i]; }).as<__m512i>();
}
EMULATED __m512i xor_si512(__m512i a, __m512i b) {
    EMULATES("vpxord");
    const U32 x(a), y(b);
    return each<U32>([&](int i) { return x[i] ^ y[i]; }).as<__m512i>();
}
EMULATED __mmask16 test_epi32_mask(__m512i a, __m512i b) {
    EMULATES("vptestmd");
    const U32 x(a), y(b);
    unsigned mask = 0;
    for (int i = 0; i < 16; ++i)
        mask |= static_cast<unsigned>((x[i] & y[i]) != 0) << i;
    return static_cast<__mmask16>(mask);
}
/** Bit (a, b, c) of the table, bit by bit. */
EMULATED __m512i ternarylogic_epi32(__m512i a, __m512i b, __m512i c, int table) {
    EMULATES("vpternlogd");
    const U32 x(a), y(b), z(c);
    U32 r = each<U32>([](int) { return 0u; });
    for (int entry = 0; entry < 8; ++entry) {
        if ((table >> entry & 1) == 0) continue;
        for (int i = 0; i < 16; ++i)
            r[i] |= ((entry & 4) != 0 ? x[i] : ~x[i]) & ((entry & 2) != 0 ? y[i] : ~y[i]) &
                    ((entry & 1) != 0 ? z[i] : ~z[i]);
    }
    return r.as<__m512i>();
}
EMULATED __m512i slli_epi16(__m512i a, unsigned count) {
    EMULATES("vpsllw");
    const U16 x(a);
    return each<U16>([&](int i) { return static_cast<uint16_t>(count > 15 ? 0 : x[i] << count); }).as<__m512i>();
}
EMULATED __m512i srli_epi16(__m512i a, unsigned count) {
    EMULATES("vpsrlw");
    const U16 x(a);
    return each<U16>([&](int i) { return static_cast<uint16_t>(count > 15 ? 0 : x[i] >> count); }).as<__m512i>();
}
EMULATED __m512i slli_epi32(__m512i a, unsigned count) {
    EMULATES("vpslld");
    const U32 x(a);
    return each<U32>([&](int i) { return count > 31 ? 0 : x[i] << count; }).as<__m512i>();
}
EMULATED __m512i srli_epi32(__m512i a, unsigned count) {
    EMULATES("vpsrld");
    const U32 x(a);
    return each<U32>([&](int i) { return count > 31 ? 0 : x[i] >> count; }).as<__m512i>();
}
EMULATED __m512i add_epi32(__m512i a, __m512i b) {
    EMULATES("vpaddd");
    const U32 x(a), y(b);
    return each<U32>([&](int i) { return x[i] + y[i]; }).as<__m512i>();
}
EMULATED __m512i max_epi32(__m512i a, __m512i b) {
    EMULATES("vpmaxsd");
    const I32 x(a), y(b);
    return each<I32>([&](int i) { return x[i] > y[i] ? x[i] : y[i]; }).as<__m512i>();
}
EMULATED int reduce_add_epi32(__m512i a) {
    EMULATES("vpaddd");
    const U32 x(a);
    uint32_t sum = 0;
    for (const uint32_t lane : x.at)
        sum += lane;
    return static_cast<int>(sum);
}
EMULATED int reduce_max_epi32(__m512i a) {
    EMULATES("vpmaxsd");
    const I32 x(a);
    int32_t top = x[0];
    for (const int32_t lane : x.at)
        top = lane > top ? lane : top;
    return top;
}
/** Adds four products of unsigned bytes of `a` and signed ones of `b` to each lane, without saturation. */
EMULATED __m512i dpbusd_epi32(__m512i sum, __m512i a, __m512i b) {
    EMULATES("vpdpbusd (EVEX)");
    U32 s(sum);
    const U8 x(a);
    const I8 y(b);
    for (int i = 0; i < 64; ++i)
        s[i / 4] += static_cast<uint32_t>(x[i] * y[i]);
    return s.as<__m512i>();
}

} // namespace emulated

#undef _mm512_cmp_ps_mask
#undef _mm512_cvtph_ps
#undef _mm512_extracti64x4_epi64
#undef _mm512_fpclass_ps_mask
#undef _mm512_maskz_scalef_ps
#undef _mm512_roundscale_ps
#undef _mm512_shuffle_f32x4
#undef _mm512_shuffle_i32x4
#undef _mm512_shuffle_ps
#undef _mm512_slli_epi16
#undef _mm512_slli_epi32
#undef _mm512_srli_epi16
#undef _mm512_srli_epi32
#undef _mm512_ternarylogic_epi32
#define _mm512_add_epi32 ::emulated::add_epi32
#define _mm512_add_ps ::emulated::add_ps
#define _mm512_and_si512 ::emulated::and_si512
#define _mm512_castps_si512 ::emulated::castps_si512
#define _mm512_castsi512_ps ::emulated::castsi512_ps
#define _mm512_castsi512_si256 ::emulated::castsi512_si256
#define _mm512_cmp_ps_mask ::emulated::cmp_ps_mask
#define _mm512_cvtepi32_epi8 ::emulated::cvtepi32_epi8
#define _mm512_cvtepi32_ps ::emulated::cvtepi32_ps
#define _mm512_cvtepi8_epi32 ::emulated::cvtepi8_epi32
#define _mm512_cvtepu16_epi32 ::emulated::cvtepu16_epi32
#define _mm512_cvtne2ps_pbh ::emulated::cvtne2ps_pbh
#define _mm512_cvtph_ps ::emulated::cvtph_ps
#define _mm512_cvtps_epi32 ::emulated::cvtps_epi32
#define _mm512_dpbusd_epi32 ::emulated::dpbusd_epi32
#define _mm512_extracti64x4_epi64 ::emulated::extracti64x4_epi64
#define _mm512_fmadd_ps ::emulated::fmadd_ps
#define _mm512_fnmadd_ps ::emulated::fnmadd_ps
#define _mm512_fpclass_ps_mask ::emulated::fpclass_ps_mask
#define _mm512_load_ps ::emulated::load_ps
#define _mm512_load_si512 ::emulated::load_si512
#define _mm512_loadu_ps ::emulated::loadu_ps
#define _mm512_loadu_si512 ::emulated::loadu_si512
#define _mm512_mask3_fmadd_ps ::emulated::mask3_fmadd_ps
#define _mm512_mask_mov_ps ::emulated::mask_mov_ps
#define _mm512_maskz_mov_ps ::emulated::maskz_mov_ps
#define _mm512_maskz_scalef_ps ::emulated::maskz_scalef_ps
#define _mm512_max_epi32 ::emulated::max_epi32
#define _mm512_max_ps ::emulated::max_ps
#define _mm512_mul_ps ::emulated::mul_ps
#define _mm512_permutexvar_epi16 ::emulated::permutexvar_epi16
#define _mm512_reduce_add_epi32 ::emulated::reduce_add_epi32
#define _mm512_reduce_max_epi32 ::emulated::reduce_max_epi32
#define _mm512_reduce_max_ps ::emulated::reduce_max_ps
#define _mm512_roundscale_ps ::emulated::roundscale_ps
#define _mm512_scalef_ps ::emulated::scalef_ps
#define _mm512_set1_epi16 ::emulated::set1_epi16
#define _mm512_set1_epi32 ::emulated::set1_epi32
#define _mm512_set1_epi8 ::emulated::set1_epi8
#define _mm512_set1_ps ::emulated::set1_ps
#define _mm512_set_epi16 ::emulated::set_epi16
#define _mm512_setzero_ps ::emulated::setzero_ps
#define _mm512_setzero_si512 ::emulated::setzero_si512
#define _mm512_shuffle_f32x4 ::emulated::shuffle_f32x4
#define _mm512_shuffle_i32x4 ::emulated::shuffle_i32x4
#define _mm512_shuffle_ps ::emulated::shuffle_ps
#define _mm512_slli_epi16 ::emulated::slli_epi16
#define _mm512_slli_epi32 ::emulated::slli_epi32
#define _mm512_srli_epi16 ::emulated::srli_epi16
#define _mm512_srli_epi32 ::emulated::srli_epi32
#define _mm512_store_ps ::emulated::store_ps
#define _mm512_store_si512 ::emulated::store_si512
#define _mm512_storeu_ps ::emulated::storeu_ps
#define _mm512_sub_ps ::emulated::sub_ps
#define _mm512_ternarylogic_epi32 ::emulated::ternarylogic_epi32
#define _mm512_test_epi32_mask ::emulated::test_epi32_mask
#define _mm512_unpackhi_epi64 ::emulated::unpackhi_epi64
#define _mm512_unpackhi_ps ::emulated::unpackhi_ps
#define _mm512_unpacklo_epi64 ::emulated::unpacklo_epi64
#define _mm512_unpacklo_ps ::emulated::unpacklo_ps
#define _mm512_xor_si512 ::emulated::xor_si512

#ifndef __F16C__
#undef _cvtsh_ss
#define _cvtsh_ss ::emulated::half_to_float
#endif
#ifndef __AVX__
#define _mm256_loadu_si256 ::emulated::load<__m256i>
#endif

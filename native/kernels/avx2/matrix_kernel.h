// Matrix kernels with 256-bit vectors, written once for AVX2 and AVX-VNNI: 8 output rows × 4 weights meet 4 broadcast
// activations. `Isa` says whether `dot` (vpdpbusd) exists; without it vpmaddubsw adds pairs to 16 bits, whose sums of
// several words still fit, so that one vpmaddwd serves up to eight of them: 2.1 vector operations for 32 products
// instead of 3.
#pragma once

#include "../fetch.h"
#include "../kernel_table.h"
#include "../unroll.h"

#include <immintrin.h>

#include <cstring>

namespace specdiff::kernels::avx2 {

// Each file that includes this is compiled for another instruction set and must keep its copies to itself.
namespace {

/** Registers of 8 output rows in a panel. */
constexpr int HALVES = PANEL_ROWS / 8;
/** Words of 4 weights in a block. */
constexpr int WORDS = BLOCK / 4;
/** Activation rows whose sums stay in registers: 4 × 2 sums, 2 weights, an activation, a product and a constant of 16.
 */
constexpr int GROUP = 4;
/**
 * Words whose pairs may be added in 16 bits: at most 127 · 2 · largest weight each, ≤ 32,767. A weight of 8 bits fits
 * once only, and only by its magnitude.
 */
constexpr int words_in_16_bits(Layout l) {
    return l == Layout::u4 || l == Layout::u4_min   ? 8
           : l == Layout::u5 || l == Layout::u5_min ? 4
           : l == Layout::u6                        ? 2
                                                    : 1;
}

/** Parts of a block with a scale of their own. */
constexpr int parts(Layout l) {
    return l == Layout::u6 ? 2 : 1;
}

SPECDIFF_INLINE inline __m256i load(const void* from) {
    return _mm256_loadu_si256(static_cast<const __m256i*>(from));
}

SPECDIFF_INLINE inline __m256 floats(const uint16_t* halves) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(halves)));
}

/** Bits [FROM, FROM + 8) of each 16-bit lane moved to [TO, TO + 8); what crosses a byte is for the caller to mask. */
template <int FROM, int TO> SPECDIFF_INLINE inline __m256i moved(__m256i x) {
    if constexpr (FROM > TO) return _mm256_srli_epi16(x, FROM - TO);
    if constexpr (FROM < TO) return _mm256_slli_epi16(x, TO - FROM);
    return x;
}

/** Word W of a panel block for 8 output rows: unsigned weights. */
template <Layout L, int W, int HALF> SPECDIFF_INLINE inline __m256i word_of(const PanelBlock<L>& block) {
    if constexpr (L == Layout::u8) {
        return load(block.q + 64 * W + 32 * HALF);
    } else {
        const __m256i packed = load(block.q + 64 * (W % 4) + 32 * HALF);
        const __m256i low = _mm256_and_si256(moved<W / 4 * 4, 0>(packed), _mm256_set1_epi8(15));
        if constexpr (L == Layout::u5 || L == Layout::u5_min) {
            const __m256i high = moved<W, 4>(load(block.high + 32 * HALF));
            return _mm256_or_si256(low, _mm256_and_si256(high, _mm256_set1_epi8(0x10)));
        } else if constexpr (L == Layout::u6) {
            const __m256i high = moved<W % 4 * 2, 4>(load(block.high + 64 * (W / 4) + 32 * HALF));
            return _mm256_or_si256(low, _mm256_and_si256(high, _mm256_set1_epi8(0x30)));
        } else {
            return low;
        }
    }
}

/** A block's weights as they are needed: for few rows unpacked on the way, for many once for all of them. */
template <Layout L> struct Packed {
    const PanelBlock<L>& block;
    template <int W, int HALF> SPECDIFF_INLINE __m256i word() const { return word_of<L, W, HALF>(block); }
    template <int HALF> SPECDIFF_INLINE __m256 scale(int part) const { return floats(scales(part) + 8 * HALF); }
    template <int HALF> SPECDIFF_INLINE __m256 minimum() const { return floats(block.m + 8 * HALF); }

  private:
    SPECDIFF_INLINE const uint16_t* scales(int part) const {
        if constexpr (L == Layout::u6)
            return block.d[part];
        else
            return block.d;
    }
};

template <Layout L> struct Unpacked {
    __m256i words[WORDS][HALVES];
    __m256 scales[parts(L)][HALVES], minima[has_minimum(L) ? HALVES : 1];

    SPECDIFF_INLINE explicit Unpacked(const PanelBlock<L>& block) {
        const Packed<L> packed{block};
        unroll<WORDS>([&](auto w) SPECDIFF_INLINE {
            words[w][0] = packed.template word<w, 0>();
            words[w][1] = packed.template word<w, 1>();
        });
        unroll<HALVES>([&](auto h) SPECDIFF_INLINE {
            for (int part = 0; part < parts(L); ++part)
                scales[part][h] = packed.template scale<h>(part);
            if constexpr (has_minimum(L)) minima[h] = packed.template minimum<h>();
        });
    }
    template <int W, int HALF> SPECDIFF_INLINE __m256i word() const { return words[W][HALF]; }
    template <int HALF> SPECDIFF_INLINE __m256 scale(int part) const { return scales[part][HALF]; }
    template <int HALF> SPECDIFF_INLINE __m256 minimum() const { return minima[HALF]; }
};

SPECDIFF_INLINE inline __m256i broadcast_word(const int8_t* x) {
    int32_t word;
    std::memcpy(&word, x, sizeof(word));
    return _mm256_set1_epi32(word);
}

/** sum += x, here and now: GCC 12 turns chains of integer sums into trees whose terms all wait in memory (2.2 ×
 * slower). */
SPECDIFF_INLINE inline void add_16(__m256i& sum, __m256i x) {
    sum = _mm256_add_epi16(sum, x);
    __asm__("" : "+x"(sum));
}
SPECDIFF_INLINE inline void add_32(__m256i& sum, __m256i x) {
    sum = _mm256_add_epi32(sum, x);
    __asm__("" : "+x"(sum));
}

/**
 * Sums of weight · activation over words [FIRST, FIRST + COUNT), exact, for ROWS rows × 16 output rows; the layout's
 * bias taken off. Integers, so that neither order nor instruction shows in the result.
 */
template <class Isa, Layout L, int FIRST, int COUNT, int ROWS, class Weights>
SPECDIFF_INLINE inline void sums(const Weights& weights, const ActivationBlock<L>* x, __m256i (&s)[ROWS][HALVES]) {
    constexpr int PART = FIRST / COUNT;
    if constexpr (Isa::HAS_DOT) {
        unroll<ROWS>([&](auto t) SPECDIFF_INLINE {
            if constexpr (has_minimum(L))
                s[t][0] = s[t][1] = _mm256_setzero_si256();
            else
                s[t][0] = s[t][1] = _mm256_set1_epi32(x[t].sum[PART].bias);
        });
        unroll<COUNT>([&](auto i) SPECDIFF_INLINE {
            const __m256i w0 = weights.template word<FIRST + i, 0>(), w1 = weights.template word<FIRST + i, 1>();
            unroll<ROWS>([&](auto t) SPECDIFF_INLINE {
                const __m256i q = broadcast_word(x[t].q + 4 * (FIRST + i));
                s[t][0] = Isa::dot(s[t][0], w0, q);
                s[t][1] = Isa::dot(s[t][1], w1, q);
            });
        });
        return;
    }
    const __m256i ones = _mm256_set1_epi16(1);
    if constexpr (L == Layout::u8) {
        // 255 · 127 · 2 is too much for 16 bits: magnitude times activation with the weight's sign.
        unroll<COUNT>([&](auto i) SPECDIFF_INLINE {
            const __m256i offset = _mm256_set1_epi8(-128);
            const __m256i w0 = _mm256_xor_si256(weights.template word<FIRST + i, 0>(), offset),
                          w1 = _mm256_xor_si256(weights.template word<FIRST + i, 1>(), offset);
            const __m256i m0 = _mm256_abs_epi8(w0), m1 = _mm256_abs_epi8(w1);
            unroll<ROWS>([&](auto t) SPECDIFF_INLINE {
                const __m256i q = broadcast_word(x[t].q + 4 * (FIRST + i));
                const __m256i p0 = _mm256_madd_epi16(_mm256_maddubs_epi16(m0, _mm256_sign_epi8(q, w0)), ones),
                              p1 = _mm256_madd_epi16(_mm256_maddubs_epi16(m1, _mm256_sign_epi8(q, w1)), ones);
                if constexpr (i == 0) {
                    s[t][0] = p0;
                    s[t][1] = p1;
                } else {
                    add_32(s[t][0], p0);
                    add_32(s[t][1], p1);
                }
            });
        });
        return;
    }
    constexpr int CHAIN = words_in_16_bits(L) < COUNT ? words_in_16_bits(L) : COUNT;
    unroll<COUNT / CHAIN>([&](auto chain) SPECDIFF_INLINE {
        __m256i p[ROWS][HALVES];
        unroll<CHAIN>([&](auto i) SPECDIFF_INLINE {
            constexpr int W = FIRST + chain * CHAIN + i;
            const __m256i w0 = weights.template word<W, 0>(), w1 = weights.template word<W, 1>();
            unroll<ROWS>([&](auto t) SPECDIFF_INLINE {
                const __m256i q = broadcast_word(x[t].q + 4 * W);
                const __m256i p0 = _mm256_maddubs_epi16(w0, q), p1 = _mm256_maddubs_epi16(w1, q);
                if constexpr (i == 0) {
                    p[t][0] = p0;
                    p[t][1] = p1;
                } else {
                    add_16(p[t][0], p0);
                    add_16(p[t][1], p1);
                }
            });
        });
        unroll<ROWS>([&](auto t) SPECDIFF_INLINE {
            unroll<HALVES>([&](auto h) SPECDIFF_INLINE {
                const __m256i sum = _mm256_madd_epi16(p[t][h], ones);
                if constexpr (chain > 0)
                    add_32(s[t][h], sum);
                else if constexpr (has_minimum(L))
                    s[t][h] = sum;
                else
                    s[t][h] = _mm256_add_epi32(sum, _mm256_set1_epi32(x[t].sum[PART].bias));
            });
        });
    });
}

/** Adds one block's product for ROWS rows. The same float operations in the same order for every row and count. */
template <class Isa, Layout L, int ROWS, class Weights>
SPECDIFF_INLINE inline void add_block(const Weights& weights, const ActivationBlock<L>* x, __m256 (*acc)[HALVES]) {
    __m256i s[ROWS][HALVES];
    if constexpr (L == Layout::u6) {
        __m256 low[ROWS][HALVES];
        sums<Isa, L, 0, WORDS / 2, ROWS>(weights, x, s);
        unroll<HALVES>([&](auto h) SPECDIFF_INLINE {
            const __m256 d = weights.template scale<h>(0);
            unroll<ROWS>([&](auto t) SPECDIFF_INLINE { low[t][h] = _mm256_mul_ps(_mm256_cvtepi32_ps(s[t][h]), d); });
        });
        sums<Isa, L, WORDS / 2, WORDS / 2, ROWS>(weights, x, s);
        unroll<HALVES>([&](auto h) SPECDIFF_INLINE {
            const __m256 d = weights.template scale<h>(1);
            unroll<ROWS>([&](auto t) SPECDIFF_INLINE {
                const __m256 both = _mm256_fmadd_ps(_mm256_cvtepi32_ps(s[t][h]), d, low[t][h]);
                acc[t][h] = _mm256_fmadd_ps(both, _mm256_set1_ps(x[t].scale), acc[t][h]);
            });
        });
    } else {
        sums<Isa, L, 0, WORDS, ROWS>(weights, x, s);
        unroll<HALVES>([&](auto h) SPECDIFF_INLINE {
            const __m256 d = weights.template scale<h>(0);
            unroll<ROWS>([&](auto t) SPECDIFF_INLINE {
                if constexpr (has_minimum(L)) {
                    const __m256 m = weights.template minimum<h>();
                    acc[t][h] = _mm256_fmadd_ps(m, _mm256_set1_ps(x[t].sum[0].scaled), acc[t][h]);
                }
                const __m256 scale = _mm256_mul_ps(d, _mm256_set1_ps(x[t].scale));
                acc[t][h] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(s[t][h]), scale, acc[t][h]);
            });
        });
    }
}

template <class Isa, Layout L, int ROWS>
void multiply(const void* panel, int64_t blocks, const void* tile, float* out, size_t out_stride, const void* next) {
    const auto *weights = static_cast<const PanelBlock<L>*>(panel), *ahead = static_cast<const PanelBlock<L>*>(next);
    const auto* x = static_cast<const ActivationBlock<L>*>(tile);
    __m256 acc[ROWS][HALVES];
    unroll<ROWS>([&](auto t) SPECDIFF_INLINE { acc[t][0] = acc[t][1] = _mm256_setzero_ps(); });
    for (int64_t b = 0; b < blocks; ++b, ++weights, ++ahead, x += ROWS) {
        fetch(weights, ahead);
        if constexpr (ROWS <= GROUP) {
            add_block<Isa, L, ROWS>(Packed<L>{*weights}, x, acc);
        } else {
            const Unpacked<L> unpacked(*weights);
            constexpr int REST = ROWS % GROUP;
            for (int first = 0; first < ROWS - REST; first += GROUP)
                add_block<Isa, L, GROUP>(unpacked, x + first, acc + first);
            if constexpr (REST > 0) add_block<Isa, L, REST>(unpacked, x + ROWS - REST, acc + ROWS - REST);
        }
    }
    unroll<ROWS>([&](auto t) SPECDIFF_INLINE {
        _mm256_storeu_ps(out + t * out_stride, acc[t][0]);
        _mm256_storeu_ps(out + t * out_stride + 8, acc[t][1]);
    });
}

/** Largest of eight. */
SPECDIFF_INLINE inline int32_t largest_of(__m256i x) {
    __m128i m = _mm_max_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0x4E));
    m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0xB1));
    return _mm_cvtsi128_si32(m);
}

SPECDIFF_INLINE inline int32_t sum_of(__m128i x) {
    x = _mm_add_epi32(x, _mm_shuffle_epi32(x, 0x4E));
    x = _mm_add_epi32(x, _mm_shuffle_epi32(x, 0xB1));
    return _mm_cvtsi128_si32(x);
}

template <Layout L> void quantize(const float* x, void* block) {
    auto* out = static_cast<ActivationBlock<L>*>(block);
    __m256 v[4];
    // Magnitudes compare as integers, where NaN is above infinity and infinity above every number.
    const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
    __m256i top = _mm256_setzero_si256();
    unroll<4>([&](auto i) SPECDIFF_INLINE {
        v[i] = _mm256_loadu_ps(x + 8 * i);
        top = _mm256_max_epi32(top, _mm256_and_si256(_mm256_castps_si256(v[i]), magnitude));
    });
    const int32_t bits = largest_of(top);
    float largest;
    std::memcpy(&largest, &bits, sizeof(largest));
    const bool finite = bits < 0x7f800000;
    const float scale = finite ? largest / 127.0f : __builtin_nanf("");
    // Below 127 × the least normal number the inverse would overflow: such a block counts as zero.
    const __m256 factor = _mm256_set1_ps(finite && largest > 1.5e-36f ? 127.0f / largest : 0.0f);
    __m256i q[4];
    unroll<4>([&](auto i) SPECDIFF_INLINE { q[i] = _mm256_cvtps_epi32(_mm256_mul_ps(v[i], factor)); });
    // Packing works on halves of registers: the permutation puts the words back in order.
    const __m256i packed =
        _mm256_permutevar8x32_epi32(_mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3])),
                                    _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out->q), packed);
    out->scale = scale;
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), packed);
    const __m256i quads = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
    const int32_t first = sum_of(_mm256_castsi256_si128(quads)), second = sum_of(_mm256_extracti128_si256(quads, 1));
    if constexpr (L == Layout::u6) {
        out->sum[0].bias = -bias_of(L) * first;
        out->sum[1].bias = -bias_of(L) * second;
    } else if constexpr (has_minimum(L)) {
        out->sum[0].scaled = scale * static_cast<float>(first + second);
    } else {
        out->sum[0].bias = -bias_of(L) * (first + second);
    }
}

template <class Isa, Layout L, int... ROWS> constexpr MatrixKernels table_of(std::integer_sequence<int, ROWS...>) {
    return {sizeof(PanelBlock<L>), sizeof(ActivationBlock<L>), quantize<L>, {multiply<Isa, L, ROWS + 1>...}};
}

template <class Isa, Layout L> MatrixKernels kernels_of() {
    return table_of<Isa, L>(std::make_integer_sequence<int, MAX_TILE>());
}

/** The matrix kernels of all layouts, in the order of `Layout`. */
template <class Isa> void fill(MatrixKernels (&kernels)[6]) {
    kernels[0] = kernels_of<Isa, Layout::u4>();
    kernels[1] = kernels_of<Isa, Layout::u4_min>();
    kernels[2] = kernels_of<Isa, Layout::u5>();
    kernels[3] = kernels_of<Isa, Layout::u5_min>();
    kernels[4] = kernels_of<Isa, Layout::u6>();
    kernels[5] = kernels_of<Isa, Layout::u8>();
}

} // namespace

} // namespace specdiff::kernels::avx2

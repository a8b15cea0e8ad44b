// Matrix kernels on AMX int8, for prompts: tdpbssd of up to 16 activation rows × 32 weights of 16 output rows.
//
// NEVER RUN ON HARDWARE: written from Intel's description and checked bit for bit under test/kernels/emulated only. The
// costs below are arithmetic, not measurements.
//
// A block that avx512's `unpack` gives (8 vectors: words of 4 weights for 16 output rows) is a tile of 8 rows × 64
// bytes, tdpbssd's second operand as it stands; activation blocks of the rows of a tile lie one after the other, so
// that the block's size is the first operand's stride. The bias is taken off the weights (8 subtractions a block)
// instead of being added to the sums (16); both operands are signed then. A block's integer sum is exact however it is
// computed, and the float operations after it are avx512's, in their order: hence the same bits as its kernels give.
//
// Where the cycles go, for a block and 16 rows, by Intel's optimization manual and vector ports 0 and 5:
//  - avx512: 8 vpdpbusd + 3 (with minimum 4, u6 5) vector operations a row: 88–104 cycles, + 4–9 for unpacking;
//  - here: tdpbssd 16 cycles of its own unit (u6: 2 × 16), tile loads 11 and 4, tile store 16 of the store port, and
//    the 3–5 vector operations a row: 24–40 cycles, + 8–13 for unpacking. Those last ones bind; the rest runs beside.
// So the accumulators stay in registers (one panel × one row tile at a time): 2 × 2 tiles would save half of the tile
// loads and of the unpacking, but move 64 accumulators through memory, more than the saving. What matters is that the
// vector ports never wait for the chain tile load (45) → tdpbssd (52) → tile store → load: products run AHEAD blocks
// before their sums are added, into a ring of buffers and in alternating tile registers.
#include "matrix.h"

#include "../avx512/matrix.h"
#include "../avx512/unpack.h"
#include "../unroll.h"

#include <immintrin.h>

#include <cstring>
#include <utility>

namespace specdiff::kernels::amx {

namespace {

/** From here on tiles are worth their latency; below, avx512's kernels serve. */
constexpr int LEAST_ROWS = 9;
/** Blocks that are multiplied before the one that is added: two times the vector work of a block hides the chain. */
constexpr int AHEAD = 2;
/** Blocks whose sums are kept: those ahead and the one being added, to the next power of two. */
constexpr int RING = 4;
/** Bytes ahead that weights are fetched, as in avx512's kernels. */
constexpr int PREFETCH = 2560;

/** Parts of a block with a scale of their own, each a product of its own. */
constexpr int parts(Layout l) {
    return l == Layout::u6 ? 2 : 1;
}

/** What ldtilecfg reads. */
struct alignas(64) TileConfig {
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t row_bytes[16] = {};
    uint8_t rows[16] = {};
};
static_assert(sizeof(TileConfig) == 64, "ldtilecfg reads 64 bytes");

/** Tiles 0–3 hold sums, 4 and 5 activations, 6 and 7 weights. */
constexpr TileConfig tile_config(int rows, int weights) {
    TileConfig config;
    for (int i = 0; i < 8; ++i) {
        config.rows[i] = static_cast<uint8_t>(i < 6 ? rows : weights / 4);
        config.row_bytes[i] = static_cast<uint16_t>(i == 4 || i == 5 ? weights : 64);
    }
    return config;
}

/** The intrinsics don't tell the compiler that a tile load reads what `data` points to: makes it finish all stores. */
SPECDIFF_INLINE inline void stores_done(const void* data) {
    __asm__ volatile("" : : "r"(data) : "memory");
}

/**
 * Sets the shape of this thread's tiles where it is another. Asking (19 cycles) instead of remembering holds whatever
 * other code does to the tiles, and setting (204 cycles) at every call would cost a third of a short panel. The shape
 * is left as it is: tiles are cleared before use, and the system drops them from an idle core by itself.
 */
template <int ROWS, int WEIGHTS> inline void shape_tiles() {
    static constexpr TileConfig wanted = tile_config(ROWS, WEIGHTS);
    TileConfig present;
    _tile_storeconfig(&present);
    __asm__ volatile("" : "+m"(present)); // all of it was written, not only what the intrinsic says
    const __m512i difference = _mm512_xor_si512(_mm512_load_si512(&present), _mm512_load_si512(&wanted));
    if (_mm512_test_epi32_mask(difference, difference) != 0) {
        stores_done(&wanted);
        _tile_loadconfig(&wanted);
    }
}

/** Signed weights, word by word: the second operand of the product. */
template <Layout L> SPECDIFF_INLINE inline void unpack_signed(const PanelBlock<L>& block, int8_t* to) {
    __m512i w[8];
    avx512::unpack<L>(block, w);
    unroll<8>([&](auto g) SPECDIFF_INLINE {
        if constexpr (!has_minimum(L)) w[g] = _mm512_sub_epi8(w[g], _mm512_set1_epi8(static_cast<char>(bias_of(L))));
        _mm512_store_si512(to + 64 * g, w[g]);
    });
    stores_done(to);
}

/** Integer sums [part][row][16] of one block. ODD blocks use other tiles than even ones, so that neither waits. */
template <Layout L, int ROWS, bool ODD>
SPECDIFF_INLINE inline void product(const int8_t* weights, const ActivationBlock<L>* x, int32_t* sums) {
    constexpr size_t stride = sizeof(ActivationBlock<L>);
    // Tile numbers are part of the instruction: the intrinsics want them written out.
    if constexpr (parts(L) == 2 && ODD) {
        _tile_zero(2);
        _tile_zero(3);
        _tile_loadd(4, x->q, stride);
        _tile_loadd(6, weights, 64);
        _tile_dpbssd(2, 4, 6);
        _tile_loadd(5, x->q + 16, stride);
        _tile_loadd(7, weights + 256, 64);
        _tile_dpbssd(3, 5, 7);
        _tile_stored(2, sums, 64);
        _tile_stored(3, sums + ROWS * PANEL_ROWS, 64);
    } else if constexpr (parts(L) == 2) {
        _tile_zero(0);
        _tile_zero(1);
        _tile_loadd(4, x->q, stride);
        _tile_loadd(6, weights, 64);
        _tile_dpbssd(0, 4, 6);
        _tile_loadd(5, x->q + 16, stride);
        _tile_loadd(7, weights + 256, 64);
        _tile_dpbssd(1, 5, 7);
        _tile_stored(0, sums, 64);
        _tile_stored(1, sums + ROWS * PANEL_ROWS, 64);
    } else if constexpr (ODD) {
        _tile_zero(1);
        _tile_loadd(5, x->q, stride);
        _tile_loadd(7, weights, 64);
        _tile_dpbssd(1, 5, 7);
        _tile_stored(1, sums, 64);
    } else {
        _tile_zero(0);
        _tile_loadd(4, x->q, stride);
        _tile_loadd(6, weights, 64);
        _tile_dpbssd(0, 4, 6);
        _tile_stored(0, sums, 64);
    }
}

/** Adds one block's sums, by the same float operations in the same order as avx512's kernels. */
template <Layout L, int ROWS>
SPECDIFF_INLINE inline void add_block(const int32_t* sums, const PanelBlock<L>& weights, const ActivationBlock<L>* x,
                                      __m512 (&acc)[ROWS]) {
    const auto sum = [&](int part, int row) SPECDIFF_INLINE {
        return _mm512_cvtepi32_ps(_mm512_load_si512(sums + (part * ROWS + row) * PANEL_ROWS));
    };
    if constexpr (L == Layout::u6) {
        const __m512 d0 = avx512::scales(weights.d[0]), d1 = avx512::scales(weights.d[1]);
        unroll<ROWS>([&](auto t) SPECDIFF_INLINE {
            const __m512 both = _mm512_fmadd_ps(sum(1, t), d1, _mm512_mul_ps(sum(0, t), d0));
            acc[t] = _mm512_fmadd_ps(both, _mm512_set1_ps(x[t].scale), acc[t]);
        });
    } else {
        const __m512 d = avx512::scales(weights.d);
        if constexpr (has_minimum(L)) {
            const __m512 m = avx512::scales(weights.m);
            unroll<ROWS>([&](auto t) SPECDIFF_INLINE {
                acc[t] = _mm512_fmadd_ps(m, _mm512_set1_ps(x[t].sum[0].scaled), acc[t]);
            });
        }
        unroll<ROWS>([&](auto t) SPECDIFF_INLINE {
            const __m512 scale = _mm512_mul_ps(d, _mm512_set1_ps(x[t].scale));
            acc[t] = _mm512_fmadd_ps(sum(0, t), scale, acc[t]);
        });
    }
}

template <Layout L, int ROWS>
void multiply(const void* panel, int64_t blocks, const void* tile, float* out, size_t out_stride) {
    const auto* weights = static_cast<const PanelBlock<L>*>(panel);
    const auto* rows = static_cast<const ActivationBlock<L>*>(tile);
    alignas(64) int8_t words[2][BLOCK * PANEL_ROWS];
    alignas(64) int32_t sums[RING][parts(L) * ROWS * PANEL_ROWS];
    shape_tiles<ROWS, BLOCK / parts(L)>();

    const auto unpack_block = [&](int64_t b) SPECDIFF_INLINE {
        const auto* ahead = reinterpret_cast<const char*>(weights + b) + PREFETCH;
        unroll<(sizeof(*weights) + 63) / 64>([&](auto line)
                                                 SPECDIFF_INLINE { _mm_prefetch(ahead + 64 * line, _MM_HINT_T0); });
        unpack_signed<L>(weights[b], words[b % 2]);
    };
    const auto multiply_block = [&](int64_t b) SPECDIFF_INLINE {
        if (b % 2 == 0)
            product<L, ROWS, false>(words[0], rows + b * ROWS, sums[b % RING]);
        else
            product<L, ROWS, true>(words[1], rows + b * ROWS, sums[b % RING]);
    };

    __m512 acc[ROWS];
    unroll<ROWS>([&](auto t) SPECDIFF_INLINE { acc[t] = _mm512_setzero_ps(); });
    for (int64_t b = -AHEAD - 1; b < blocks; ++b) {
        const int64_t multiplied = b + AHEAD, unpacked = multiplied + 1;
        if (multiplied >= 0 && multiplied < blocks) multiply_block(multiplied);
        if (unpacked < blocks) unpack_block(unpacked);
        if (b >= 0) add_block<L, ROWS>(sums[b % RING], weights[b], rows + b * ROWS, acc);
    }
    unroll<ROWS>([&](auto t) SPECDIFF_INLINE { _mm512_storeu_ps(out + t * out_stride, acc[t]); });
}

template <Layout L, int... MORE> MatrixKernels with_tiles(std::integer_sequence<int, MORE...>) {
    auto kernels = avx512::matrix_kernels<L>();
    ((kernels.multiply[LEAST_ROWS + MORE - 1] = multiply<L, LEAST_ROWS + MORE>), ...);
    return kernels;
}

} // namespace

template <Layout L> MatrixKernels matrix_kernels() {
    return with_tiles<L>(std::make_integer_sequence<int, MAX_TILE - LEAST_ROWS + 1>());
}

template MatrixKernels matrix_kernels<Layout::u4>();
template MatrixKernels matrix_kernels<Layout::u4_min>();
template MatrixKernels matrix_kernels<Layout::u5>();
template MatrixKernels matrix_kernels<Layout::u5_min>();
template MatrixKernels matrix_kernels<Layout::u6>();
template MatrixKernels matrix_kernels<Layout::u8>();

} // namespace specdiff::kernels::amx

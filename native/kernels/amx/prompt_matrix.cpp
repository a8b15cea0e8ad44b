// Prompts' products on AMX. Weights are unpacked to bf16 (scale and minimum applied, rounded to nearest) once for up to
// 256 rows, activations rounded to bf16, sums kept in f32 in the tiles over up to 1,536 columns: both roundings are
// below those of 8-bit activations (docs/kernels.md has the perplexity).
//
// Why not tdpbssd, whose integers would have the bits of the smaller batches' kernels: a scale for each 32 weights
// means that each product of 16 × 16 × 32 must leave its tile to be scaled. On hardware (Emerald Rapids) that product,
// its tile loads and its store take 35 cycles, the 64 vector operations after it 32, and they don't overlap: 69, where
// AVX-512 needs 96 and memory and unpacking take the rest; as a whole it was slower than AVX-512. In bf16 the same
// product takes 16.
#include "prompt_matrix.h"

#include "../avx512/unpack.h"
#include "tiles.h"

#include <algorithm>
#include <cstring>

namespace specdiff::kernels::amx {

namespace {

/** Columns (in blocks) and rows whose packed activations stay in the second-level cache: 48 × 256 × 64 B = 768 KB. */
constexpr int64_t CHUNK_BLOCKS = 48, CHUNK_ROWS = 256;
/** Panels and row tiles that are multiplied with each other at once: 4 products for 4 tile loads. */
constexpr int TOGETHER = 2;
/** Bytes ahead that weights are fetched: the hardware's own prefetch stops at page ends. */
constexpr int PREFETCH = 2560;

struct Scratch {
    uint16_t weights[CHUNK_BLOCKS][TOGETHER][TILE_BYTES / sizeof(uint16_t)];
    /** A last row tile's sums, where it has fewer than 16 rows. */
    float sums[TILE_ROWS][TOGETHER * PANEL_ROWS];
};

/** Rows whose activations lie block by block beside each other. */
constexpr int64_t PACKED_ROWS = TOGETHER * TILE_ROWS;

size_t packed_bytes(int64_t rows, int64_t blocks) {
    return static_cast<size_t>((rows + PACKED_ROWS - 1) / PACKED_ROWS * blocks) * TOGETHER * TILE_BYTES;
}

/** Where row `row`'s block 0 lies, in bytes; the next block is TOGETHER tiles on. */
int64_t packed_place(int64_t row, int64_t blocks) {
    return row / PACKED_ROWS * blocks * TOGETHER * TILE_BYTES + row % PACKED_ROWS * 64;
}

/** Two row tiles after two, block by block, 16 rows of 32 numbers: tiles as they are loaded. Rows that a last tile
 * lacks stay as they were, and so do their sums, which nobody reads. */
void pack(const float* x, int64_t blocks, int64_t row, void* packed) {
    constexpr int NOT_FINITE = 0x99; // quiet NaN, infinities, signalling NaN
    auto* to = static_cast<char*>(packed) + packed_place(row, blocks);
    for (int64_t b = 0; b < blocks; ++b, x += BLOCK, to += TOGETHER * TILE_BYTES) {
        const __m512 low = _mm512_loadu_ps(x), high = _mm512_loadu_ps(x + 16);
        const auto bad = _mm512_fpclass_ps_mask(low, NOT_FINITE) | _mm512_fpclass_ps_mask(high, NOT_FINITE);
        const auto both = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
        _mm512_store_si512(to, bad == 0 ? both : _mm512_set1_epi16(0x7FC0));
    }
}

/**
 * Row k of the tile holds the weights 2·k and 2·k + 1 of 16 output rows. A weight q of 8 bits becomes a float by being
 * put into the mantissa of 1: f = 1 + q/2^11, and d·q + m = 2^11·d · f + (m − 2^11·d), exact but for 2^-13·d.
 */
template <Layout L> SPECDIFF_INLINE inline void unpack_to_bf16(const PanelBlock<L>& block, uint16_t* to) {
    constexpr int PLACE = 12; // bits of the mantissa below q
    __m512i w[8];
    avx512::unpack<L>(block, w);
    __m512 factor[2], offset[2];
    for (int part = 0; part < 2; ++part) {
        __m512 d;
        if constexpr (L == Layout::u6)
            d = avx512::scales(block.d[part]);
        else
            d = avx512::scales(block.d);
        factor[part] = _mm512_mul_ps(d, _mm512_set1_ps(1 << (23 - PLACE)));
        if constexpr (has_minimum(L))
            offset[part] = _mm512_sub_ps(avx512::scales(block.m), factor[part]);
        else
            offset[part] = _mm512_mul_ps(d, _mm512_set1_ps(-(1 << (23 - PLACE)) - bias_of(L)));
    }
    const __m512i field = _mm512_set1_epi32(0xFF << PLACE), one = _mm512_set1_epi32(0x3F800000);
    constexpr int AND_OR = 0xEA; // (a & b) | c
    unroll<8>([&](auto g) SPECDIFF_INLINE {
        const auto weight = [&](__m512i moved) SPECDIFF_INLINE {
            const __m512 f = _mm512_castsi512_ps(_mm512_ternarylogic_epi32(moved, field, one, AND_OR));
            return _mm512_fmadd_ps(f, factor[g / 4], offset[g / 4]);
        };
        const __m512 w0 = weight(_mm512_slli_epi32(w[g], PLACE)), w1 = weight(_mm512_slli_epi32(w[g], PLACE - 8)),
                     w2 = weight(_mm512_srli_epi32(w[g], 16 - PLACE)), w3 = weight(_mm512_srli_epi32(w[g], 24 - PLACE));
        _mm512_store_si512(to + 64 * g, pairs(w0, w1));
        _mm512_store_si512(to + 64 * g + 32, pairs(w2, w3));
    });
}

/** Into place `panel` of each block. */
template <Layout L> void unpack_chunk(const PanelBlock<L>* blocks, int64_t count, int64_t panel, Scratch& scratch) {
    for (int64_t b = 0; b < count; ++b) {
        const auto* ahead = reinterpret_cast<const char*>(blocks + b) + PREFETCH;
        unroll<(sizeof(*blocks) + 63) / 64>([&](auto line)
                                                SPECDIFF_INLINE { _mm_prefetch(ahead + 64 * line, _MM_HINT_T0); });
        unpack_to_bf16<L>(blocks[b], scratch.weights[b][panel]);
    }
}

/** Where the sums of a row tile lie. */
struct Sums {
    float* at;
    size_t stride; // in floats
};

/**
 * Adds the products of TILES row tiles and PANELS panels over `count` blocks to their sums, or begins them. Tiles 0–3
 * hold sums, 4 and 5 activations, 6 and 7 weights: tile numbers are part of the instruction and must be written out.
 */
template <int TILES, int PANELS>
SPECDIFF_INLINE inline void multiply_tiles(const Scratch& scratch, const char* const (&x)[TOGETHER], int64_t count,
                                           const Sums (&sums)[TOGETHER], bool begin) {
    if (begin) {
        // Where the sums go lies in 16 pages and in no near cache: fetched while they are computed.
        for (int t = 0; t < TILES; ++t) {
            for (int row = 0; row < TILE_ROWS; ++row) {
                __builtin_prefetch(sums[t].at + row * sums[t].stride, 1);
                if constexpr (PANELS > 1) __builtin_prefetch(sums[t].at + row * sums[t].stride + PANEL_ROWS, 1);
            }
        }
        _tile_zero(0);
        if constexpr (PANELS > 1) _tile_zero(1);
        if constexpr (TILES > 1) _tile_zero(2);
        if constexpr (TILES > 1 && PANELS > 1) _tile_zero(3);
    } else {
        _tile_loadd(0, sums[0].at, sums[0].stride * sizeof(float));
        if constexpr (PANELS > 1) _tile_loadd(1, sums[0].at + PANEL_ROWS, sums[0].stride * sizeof(float));
        if constexpr (TILES > 1) _tile_loadd(2, sums[1].at, sums[1].stride * sizeof(float));
        if constexpr (TILES > 1 && PANELS > 1) _tile_loadd(3, sums[1].at + PANEL_ROWS, sums[1].stride * sizeof(float));
    }
    for (int64_t b = 0; b < count; ++b) {
        _tile_loadd(4, x[0] + b * TOGETHER * TILE_BYTES, 64);
        _tile_loadd(6, scratch.weights[b][0], 64);
        _tile_dpbf16ps(0, 4, 6);
        if constexpr (PANELS > 1) {
            _tile_loadd(7, scratch.weights[b][1], 64);
            _tile_dpbf16ps(1, 4, 7);
        }
        if constexpr (TILES > 1) {
            _tile_loadd(5, x[1] + b * TOGETHER * TILE_BYTES, 64);
            _tile_dpbf16ps(2, 5, 6);
            if constexpr (PANELS > 1) _tile_dpbf16ps(3, 5, 7);
        }
    }
    _tile_stored(0, sums[0].at, sums[0].stride * sizeof(float));
    if constexpr (PANELS > 1) _tile_stored(1, sums[0].at + PANEL_ROWS, sums[0].stride * sizeof(float));
    if constexpr (TILES > 1) _tile_stored(2, sums[1].at, sums[1].stride * sizeof(float));
    if constexpr (TILES > 1 && PANELS > 1) _tile_stored(3, sums[1].at + PANEL_ROWS, sums[1].stride * sizeof(float));
}

/** Rows [first, last) of the chunk's blocks [begin, begin + count) times PANELS panels, whose weights are unpacked. */
template <int PANELS>
void multiply_rows(Scratch& scratch, const char* packed, int64_t blocks, int64_t begin, int64_t count, int64_t first,
                   int64_t last, float* out, size_t out_stride) {
    const auto activations = [&](int64_t row) {
        return packed + packed_place(row, blocks) + begin * TOGETHER * TILE_BYTES;
    };
    const auto sums_of = [&](int64_t row) { return Sums{out + static_cast<size_t>(row) * out_stride, out_stride}; };
    int64_t row = first;
    for (; row + TOGETHER * TILE_ROWS <= last; row += TOGETHER * TILE_ROWS) {
        multiply_tiles<TOGETHER, PANELS>(scratch, {activations(row), activations(row + TILE_ROWS)}, count,
                                         {sums_of(row), sums_of(row + TILE_ROWS)}, begin == 0);
    }
    for (; row + TILE_ROWS <= last; row += TILE_ROWS)
        multiply_tiles<1, PANELS>(scratch, {activations(row), nullptr}, count, {sums_of(row), {}}, begin == 0);
    if (row == last) return;
    // Fewer than 16 rows: their sums by way of a tile of their own.
    const auto copy = [&](bool in) {
        for (int64_t r = 0; r < last - row; ++r) {
            float* theirs = out + static_cast<size_t>(row + r) * out_stride;
            constexpr size_t bytes = PANELS * PANEL_ROWS * sizeof(float);
            std::memcpy(in ? scratch.sums[r] : theirs, in ? theirs : scratch.sums[r], bytes);
        }
    };
    if (begin > 0) copy(true);
    stores_done(scratch.sums);
    const Sums own{scratch.sums[0], TOGETHER * PANEL_ROWS};
    multiply_tiles<1, PANELS>(scratch, {activations(row), nullptr}, count, {own, {}}, begin == 0);
    stores_done(scratch.sums);
    copy(false);
}

template <Layout L>
void multiply(const void* weights, int64_t panels, int64_t blocks, const void* packed, int64_t rows, float* out,
              size_t out_stride, void* memory) {
    auto& scratch = *static_cast<Scratch*>(memory);
    const auto* panel_blocks = static_cast<const PanelBlock<L>*>(weights);
    const auto* x = static_cast<const char*>(packed);
    shape_tiles();
    for (int64_t first = 0; first < rows; first += CHUNK_ROWS) {
        const int64_t last = std::min(rows, first + CHUNK_ROWS);
        for (int64_t begin = 0; begin < blocks; begin += CHUNK_BLOCKS) {
            const int64_t count = std::min(CHUNK_BLOCKS, blocks - begin);
            for (int64_t panel = 0; panel < panels; panel += TOGETHER) {
                const int64_t here = std::min<int64_t>(TOGETHER, panels - panel);
                for (int64_t p = 0; p < here; ++p)
                    unpack_chunk<L>(panel_blocks + (panel + p) * blocks + begin, count, p, scratch);
                stores_done(&scratch);
                float* to = out + panel * PANEL_ROWS;
                if (here == TOGETHER)
                    multiply_rows<TOGETHER>(scratch, x, blocks, begin, count, first, last, to, out_stride);
                else
                    multiply_rows<1>(scratch, x, blocks, begin, count, first, last, to, out_stride);
            }
        }
    }
}

} // namespace

template <Layout L> const PromptKernels& prompt_kernels() {
    static constexpr PromptKernels kernels = {packed_bytes, sizeof(Scratch), pack, multiply<L>};
    return kernels;
}

template const PromptKernels& prompt_kernels<Layout::u4>();
template const PromptKernels& prompt_kernels<Layout::u4_min>();
template const PromptKernels& prompt_kernels<Layout::u5>();
template const PromptKernels& prompt_kernels<Layout::u5_min>();
template const PromptKernels& prompt_kernels<Layout::u6>();
template const PromptKernels& prompt_kernels<Layout::u8>();

} // namespace specdiff::kernels::amx

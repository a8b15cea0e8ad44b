// Prompts' attention on AMX, block by block of 64 cells with a running maximum (FlashAttention, arXiv 2205.14135,
// algorithm 1): nothing as large as rows × cells is kept.
//
// Rows lie in the lanes: scores^T = K · Q^T, output^T = V^T · P, both as tiles of 16 × 16. Scores of 20 and more would
// lose two digits in bf16; so queries and keys are split into two bf16 each, high and low, and three of the four
// products added, which leaves 2^-16. Weights and values are rounded to bf16, 2^-9 each and averaged over the cells: no
// more than the rounding that the output meets as the next matrix' input.
//
// A row's result depends on the cells and on its own query only: a hidden cell adds exactly nothing, and blocks begin
// at multiples of 64 cells whatever rows are computed.
#include "prompt_attention.h"

#include "../attention_kernel.h"
#include "../avx512/vector16.h"
#include "../kernel_table.h"
#include "tiles.h"

#include <algorithm>
#include <cmath>

namespace specdiff::kernels::amx {

namespace {

using V = avx512::Vector16;
using Kernel = AttentionKernel<V>;

constexpr int LANES = TILE_ROWS;
/** Cells of a block: 4 tiles of scores. */
constexpr int CELLS = 64;
/** 12 tiles of rows, for which a block's keys and values are laid out once. */
constexpr int MOST_ROWS = 12 * LANES;
/** Tiles of sums that are kept at once. */
constexpr int SUMS = 4;
/** Maximum of a row that has seen nothing: 2^(−∞ − it) is 0, not a NaN. */
constexpr float NOTHING = -3.4e38f;
/** Scores are taken to the base 2. */
constexpr float LOG2_E = 1.44269504f;

using Words = __m512i;
constexpr size_t TILE_WORDS = TILE_BYTES / sizeof(uint32_t);

/** A call's memory. */
struct Scratch {
    float* cells;                // [CELLS][dim], keys or values as floats
    uint32_t *keys, *values;     // tiles: [cells / 16][depth][high, low]; [dims / 16][cells / 32]
    uint32_t *queries, *weights; // tiles: [row tile][depth][high, low]; [cells / 32]
    float *scores[2], *output;   // [CELLS][lane], of two row tiles in turn; [row tile][dim][lane]

    Scratch(int dim, void* memory) {
        auto* at = static_cast<char*>(memory);
        const auto take = [&](auto*& part, size_t count) {
            part = reinterpret_cast<std::remove_reference_t<decltype(part)>>(at);
            at += count * sizeof(*part);
        };
        const auto width = static_cast<size_t>(dim);
        take(cells, CELLS * width);
        take(keys, CELLS * width);
        take(values, CELLS * width / 2);
        take(queries, MOST_ROWS * width);
        take(weights, CELLS * LANES / 2);
        take(scores[0], size_t{CELLS} * LANES);
        take(scores[1], size_t{CELLS} * LANES);
        take(output, MOST_ROWS * width);
        end = at;
    }
    char* end;
};

size_t scratch_bytes(int dim) {
    return static_cast<size_t>(Scratch(dim, nullptr).end - static_cast<char*>(nullptr));
}

/** 16 × 16 words as a tile, rows for columns. */
SPECDIFF_INLINE inline void store_transposed(const Words (&x)[LANES], uint32_t* to) {
    __m512 rows[LANES];
    unroll<LANES>([&](auto i) SPECDIFF_INLINE { rows[i] = _mm512_castsi512_ps(x[i]); });
    V::transpose(rows);
    unroll<LANES>([&](auto i) SPECDIFF_INLINE { _mm512_store_si512(to + i * LANES, _mm512_castps_si512(rows[i])); });
}

/** 32 numbers as words of neighbours: x = high + low but for 2^-16 of x. */
struct Split {
    Words high, low;
    SPECDIFF_INLINE Split(__m512 x, __m512 y) {
        const auto both = _mm512_cvtne2ps_pbh(y, x);
        high = reinterpret_cast<Words>(both);
        const auto part = [&](int half) SPECDIFF_INLINE {
            const __m256i bits = half == 0 ? _mm512_castsi512_si256(high) : _mm512_extracti64x4_epi64(high, 1);
            return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
        };
        low = reinterpret_cast<Words>(_mm512_cvtne2ps_pbh(_mm512_sub_ps(y, part(1)), _mm512_sub_ps(x, part(0))));
    }
};

/**
 * 2^x within 3·10^-6 of it for x ≤ 0, which is rounded to bf16 next; exactly 0 below −125 and for −∞; NaN stays NaN.
 * Results that are not normal would each be made by microcode: hidden cells took half of a prompt's attention that way.
 */
SPECDIFF_INLINE inline __m512 exp2(__m512 x) {
    const __m512 least = _mm512_set1_ps(-125.0f);
    const auto normal = _mm512_cmp_ps_mask(x, least, _CMP_NLT_UQ);
    x = _mm512_max_ps(least, x);
    const __m512 n = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC), r = _mm512_sub_ps(x, n);
    // The least relative error over −½ … ½ that a polynomial of degree 4 with 1 at 0 has.
    __m512 p = _mm512_set1_ps(0.00958284288f);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.0559064280f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.240240989f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.693124193f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
    return _mm512_maskz_scalef_ps(normal, p, n);
}

/** Second operand of the scores: words of two dimensions for 16 rows; lanes without a row repeat the last. */
void load_queries(const Attention& a, int head, int first, int rows, uint32_t* to) {
    const __m512 scale = _mm512_set1_ps(a.scale * LOG2_E);
    for (int d = 0; d < a.dim; d += TILE_DEPTH, to += 2 * TILE_WORDS) {
        Words high[LANES], low[LANES];
        for (int lane = 0; lane < LANES; ++lane) {
            const float* q = Kernel::query_row(a, head, first + std::min(lane, rows - 1)) + d;
            const Split words(_mm512_mul_ps(_mm512_loadu_ps(q), scale),
                              _mm512_mul_ps(_mm512_loadu_ps(q + LANES), scale));
            high[lane] = words.high;
            low[lane] = words.low;
        }
        store_transposed(high, to);
        store_transposed(low, to + TILE_WORDS);
    }
}

/** First operand of the scores: 16 cells × 32 dimensions a tile. `cells`: [count][dim], a multiple of 16 of them. */
void lay_out_keys(const float* cells, int count, int dim, uint32_t* to) {
    const int depth = dim / TILE_DEPTH;
    for (int cell = 0; cell < count; ++cell) {
        for (int k = 0; k < depth; ++k) {
            uint32_t* tile = to + static_cast<size_t>(cell / LANES * depth + k) * 2 * TILE_WORDS + cell % LANES * LANES;
            const float* from = cells + static_cast<size_t>(cell) * dim + k * TILE_DEPTH;
            const Split words(_mm512_loadu_ps(from), _mm512_loadu_ps(from + LANES));
            _mm512_store_si512(tile, words.high);
            _mm512_store_si512(tile + TILE_WORDS, words.low);
        }
    }
}

/** First operand of the output: 16 dimensions × 32 cells a tile; cells from `count` on are zero, and so is what isn't
 * finite. */
void lay_out_values(const float* cells, int count, int dim, uint32_t* to) {
    for (int d = 0; d < dim; d += LANES) {
        for (int c = 0; c < CELLS; c += TILE_DEPTH, to += TILE_WORDS) {
            Words words[LANES];
            const auto value = [&](int cell) {
                if (cell >= count) return _mm512_setzero_ps();
                const __m512 x = _mm512_loadu_ps(cells + static_cast<size_t>(cell) * dim + d);
                const auto finite = _mm512_cmp_ps_mask(_mm512_sub_ps(x, x), _mm512_setzero_ps(), _CMP_EQ_OQ);
                return _mm512_maskz_mov_ps(finite, x);
            };
            for (int i = 0; i < LANES; ++i)
                words[i] = pairs(value(c + 2 * i), value(c + 2 * i + 1));
            store_transposed(words, to);
        }
    }
}

/** [CELLS][lane]. Tiles 0–3 hold sums, 4 and 5 keys, 6 and 7 queries. */
void multiply_scores(const uint32_t* keys, const uint32_t* queries, int depth, float* scores) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    const size_t next = static_cast<size_t>(depth) * 2 * TILE_WORDS;
    for (int k = 0; k < depth; ++k, keys += 2 * TILE_WORDS, queries += 2 * TILE_WORDS) {
        _tile_loadd(6, queries, 64);
        _tile_loadd(7, queries + TILE_WORDS, 64);
#define CELL_TILE(index)                                                                                               \
    _tile_loadd(4, keys + (index) * next, 64);                                                                         \
    _tile_loadd(5, keys + (index) * next + TILE_WORDS, 64);                                                            \
    _tile_dpbf16ps(index, 4, 7);                                                                                       \
    _tile_dpbf16ps(index, 5, 6);                                                                                       \
    _tile_dpbf16ps(index, 4, 6);
        CELL_TILE(0)
        CELL_TILE(1)
        CELL_TILE(2)
        CELL_TILE(3)
#undef CELL_TILE
    }
    _tile_stored(0, scores, 64);
    _tile_stored(1, scores + 16 * LANES, 64);
    _tile_stored(2, scores + 32 * LANES, 64);
    _tile_stored(3, scores + 48 * LANES, 64);
    stores_done(scores);
}

/** Adds V^T · P to `output`, [dim][lane]; a tile of 16 dimensions after the other, four in turn. */
void add_values(const uint32_t* values, const uint32_t* weights, int dim, float* output) {
    stores_done(output);
    static_assert(CELLS == 2 * TILE_DEPTH, "two products for each 16 dimensions");
    _tile_loadd(6, weights, 64);
    _tile_loadd(7, weights + TILE_WORDS, 64);
#define DIM_TILE(index)                                                                                                \
    if (d + (index) * LANES < dim) {                                                                                   \
        _tile_loadd(index, output + (d + (index) * LANES) * LANES, 64);                                                \
        _tile_loadd(4, values + (d / LANES + (index)) * 2 * TILE_WORDS, 64);                                           \
        _tile_dpbf16ps(index, 4, 6);                                                                                   \
        _tile_loadd(5, values + ((d / LANES + (index)) * 2 + 1) * TILE_WORDS, 64);                                     \
        _tile_dpbf16ps(index, 5, 7);                                                                                   \
        _tile_stored(index, output + (d + (index) * LANES) * LANES, 64);                                               \
    }
    for (int d = 0; d < dim; d += SUMS * LANES) {
        DIM_TILE(0)
        DIM_TILE(1)
        DIM_TILE(2)
        DIM_TILE(3)
    }
#undef DIM_TILE
    stores_done(output);
}

/** Hides what the mask hides from 16 rows: `scores` is [count][lane]. */
void apply_mask(const Attention& a, const Kernel::Tile& tile, int cell, int count, float* scores) {
    const __m512 hidden = _mm512_set1_ps(-INFINITY), base = _mm512_set1_ps(LOG2_E);
    for (int c = 0; c < count; c += LANES) {
        __m512 mask[LANES];
        Kernel::mask_of_lanes(a, tile, cell + c, mask);
        for (int i = 0; i < LANES; ++i) {
            float* at = scores + (c + i) * LANES;
            _mm512_store_ps(at, V::select_equal(mask[i], hidden, hidden, V::fma(mask[i], base, _mm512_load_ps(at))));
        }
    }
}

/** Scores to weights 2^(score − maximum) as words of two cells; what was added up so far shrinks where the maximum
 * grew. */
void weigh(const float* scores, int count, int dim, uint32_t* weights, Kernel::Tile& tile) {
    const __m512 before = tile.maximum;
    __m512 tops[4] = {before, before, before, before};
    for (int c = 0; c < count; c += 4)
        unroll<4>([&](auto i) SPECDIFF_INLINE { tops[i] = V::max(_mm512_load_ps(scores + (c + i) * LANES), tops[i]); });
    const __m512 top = V::max(V::max(tops[0], tops[1]), V::max(tops[2], tops[3]));
    __m512 total = tile.sum, even = V::zero(), odd = V::zero(); // two chains of additions
    if (_mm512_cmp_ps_mask(top, before, _CMP_NEQ_UQ) != 0) {
        const __m512 factor = exp2(V::sub(before, top));
        total = V::mul(total, factor);
        for (int d = 0; d < dim; ++d)
            _mm512_store_ps(tile.output + d * LANES, V::mul(_mm512_load_ps(tile.output + d * LANES), factor));
        tile.maximum = top;
    }
    for (int c = 0; c < CELLS; c += 2) {
        Words words = _mm512_setzero_si512();
        if (c < count) {
            const __m512 first = exp2(V::sub(_mm512_load_ps(scores + c * LANES), top)),
                         second = exp2(V::sub(_mm512_load_ps(scores + (c + 1) * LANES), top));
            even = V::add(even, first);
            odd = V::add(odd, second);
            words = pairs(first, second);
        }
        _mm512_store_si512(weights + c / 2 * LANES, words);
    }
    tile.sum = V::add(total, V::add(even, odd));
}

/** Adds by hand what lay_out_values left out: visible values that aren't finite must be seen in their rows. */
void add_not_finite(const float* cells, int count, int dim, const uint32_t* weights, float* output) {
    for (int cell = 0; cell < count; ++cell) {
        for (int d = 0; d < dim; ++d) {
            const float value = cells[static_cast<size_t>(cell) * dim + d];
            if (std::isfinite(value)) continue;
            for (int lane = 0; lane < LANES; ++lane) {
                const uint32_t weight = weights[cell / 2 * LANES + lane] >> (16 * (cell % 2)) & 0xFFFF;
                if (weight != 0) output[d * LANES + lane] += value;
            }
        }
    }
}

void attend(const Attention& a, int head, int begin, int end, void* memory) {
    const Scratch scratch(a.dim, memory);
    const int depth = a.dim / TILE_DEPTH;
    const size_t query_words = static_cast<size_t>(depth) * 2 * TILE_WORDS,
                 outputs = static_cast<size_t>(a.dim) * LANES;
    shape_tiles();
    Kernel::Tile tiles[MOST_ROWS / LANES];
    int count = 0;
    for (int row = begin; row < end; row += LANES, ++count) {
        Kernel::Tile& tile = tiles[count];
        tile.first = row;
        tile.rows = std::min(LANES, end - row);
        tile.wide = true;
        tile.output = scratch.output + count * outputs;
        tile.maximum = V::set(NOTHING);
        tile.sum = V::zero();
        load_queries(a, head, row, tile.rows, scratch.queries + count * query_words);
    }
    std::fill(scratch.output, scratch.output + count * outputs, 0.0f);

    const char *k = a.k + static_cast<size_t>(head) * a.k_head, *v = a.v + static_cast<size_t>(head) * a.v_head;
    for (int cell = 0; cell < a.cells; cell += CELLS) {
        const int here = std::min(CELLS, a.cells - cell);
        bool loaded = false, finite = true;
        // A tile's scores are weighed while the next one's are computed: read at once, they wait for their tiles'
        // stores.
        int waiting = -1, slot = 0;
        auto waiting_view = Kernel::none;
        const auto finish = [&] {
            if (waiting < 0) return;
            Kernel::Tile& tile = tiles[waiting];
            float* scores = scratch.scores[1 - slot];
            if (waiting_view == Kernel::mixed) apply_mask(a, tile, cell, here, scores);
            weigh(scores, here, a.dim, scratch.weights, tile);
            add_values(scratch.values, scratch.weights, a.dim, tile.output);
            if (!finite) add_not_finite(scratch.cells, here, a.dim, scratch.weights, tile.output);
        };
        for (int t = 0; t < count; ++t) {
            const auto view = Kernel::visibility(a, tiles[t], cell, here);
            if (view == Kernel::none) continue;
            if (!loaded) {
                Kernel::load_block<false>(a, k + static_cast<size_t>(cell) * a.k_cell, a.k_cell, here, scratch.cells);
                lay_out_keys(scratch.cells, here, a.dim, scratch.keys);
                finite = Kernel::load_block<true>(a, v + static_cast<size_t>(cell) * a.v_cell, a.v_cell, here,
                                                  scratch.cells);
                lay_out_values(scratch.cells, here, a.dim, scratch.values);
                stores_done(scratch.keys);
                loaded = true;
            }
            multiply_scores(scratch.keys, scratch.queries + t * query_words, depth, scratch.scores[slot]);
            finish();
            waiting = t;
            waiting_view = view;
            slot = 1 - slot;
        }
        finish();
    }
    for (int t = 0; t < count; ++t)
        Kernel::store_outputs(a, head, tiles[t]);
}

} // namespace

const PromptAttention& prompt_attention() {
    static constexpr PromptAttention kernels = {MOST_ROWS, TILE_DEPTH, scratch_bytes, attend};
    return kernels;
}

} // namespace specdiff::kernels::amx

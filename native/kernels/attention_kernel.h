// Attention over a cache for any number of rows, written once for every vector width.
//
// Each row's result has the same bits whatever rows are computed with it and whatever hidden cells lie between the
// visible ones, because every sum has one order:
//  - a score is D/W products per lane, added lane by lane, then a fixed tree over the W lanes (lane l with l + W/2
//  first);
//  - the maximum is exact and taken over the whole row before any exponential, so no running rescaling depends on
//  blocks;
//  - weights and weighted values are added cell after cell; a hidden cell's weight is exactly zero and adds nothing.
// Two ways compute that same order: "wide" puts W rows into the lanes (cells and values are broadcast), "narrow" puts
// the head's dimensions into the lanes and is cheaper for the last few rows (below 10 of 16: 11 vector operations a row
// and cell against 143 a tile).
#pragma once

#include "kernel_table.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>

namespace specdiff::kernels {

/** block_q8_0 of ggml: f16 scale and 32 signed bytes. */
constexpr int Q8_0_BYTES = 34;

template <class V> struct AttentionKernel {
    using Vec = typename V::Vec;
    static constexpr int W = V::WIDTH;
    /** Floats of cells converted at a time: 16 KB of keys, half the first-level cache. */
    static constexpr int BLOCK_FLOATS = 4096;
    /** Cells ahead that are fetched. */
    static constexpr size_t SOON_CELLS = 12, LATER_CELLS = 64;
    static constexpr uint16_t HIDDEN = 0xFC00; // -infinity in f16

    enum Visibility : uint8_t { all, none, mixed };

    struct Tile {
        int first, rows;
        bool wide;
        float *query, *scores, *output;
        Vec maximum, sum;       // wide: by lane
        float top[W], total[W]; // narrow: by row
    };

    static int block_cells(int dim) { return std::max(W, BLOCK_FLOATS / dim / W * W); }
    static size_t pad(size_t floats) { return (floats + 15) / 16 * 16; }

    static size_t scratch_bytes(int dim, int64_t cells) {
        const size_t rows = attention_chunk(cells) + W;
        const size_t blocks = static_cast<size_t>(cells) / block_cells(dim) + 1;
        const size_t floats = pad(static_cast<size_t>(block_cells(dim)) * dim) + 2 * pad(rows * dim) +
                              pad(rows * cells) + pad(static_cast<size_t>(block_cells(dim)) * W) +
                              pad((rows / W + 2) * blocks);
        return floats * sizeof(float) + (rows / W + 2) * sizeof(Tile) + 256;
    }

    /** Calls work with the head's dimensions as a constant where they are usual ones, with 0 elsewhere. */
    template <class Work> static auto with_dims(int dim, Work&& work) {
        if (dim == 64) return work(std::integral_constant<int, 64>());
        if (dim == 128) return work(std::integral_constant<int, 128>());
        return work(std::integral_constant<int, 0>());
    }

    /**
     * Converts `count` cells of one head to floats; with CHECK, false when one of them isn't finite. DIMS: see
     * with_dims.
     */
    template <CacheType T, bool CHECK, int DIMS>
    static bool load_cells(const char* from, size_t stride, int count, int dim, float* to) {
        // One chain of sums would take longer than all the rest.
        constexpr int CHAINS = DIMS != 0 ? 4 : 1;
        const int d_end = DIMS != 0 ? DIMS : dim;
        Vec check[CHAINS];
        for (Vec& chain : check)
            chain = V::zero();
        for (int cell = 0; cell < count; ++cell, from += stride, to += d_end) {
            // A head's cells lie a cache line or more apart, which the hardware's own prefetch follows badly: the next
            // ones into the first-level cache, those of the next block into the second-level one.
            for (int line = 0; line < 2 * d_end; line += 64) {
                __builtin_prefetch(from + SOON_CELLS * stride + line, 0, 3);
                __builtin_prefetch(from + LATER_CELLS * stride + line, 0, 2);
            }
#pragma GCC unroll 16
            for (int d = 0; d < d_end; d += W) {
                Vec x;
                if constexpr (T == CacheType::f16) {
                    x = V::load_half(from + 2 * d);
                } else {
                    const char* block = from + d / 32 * Q8_0_BYTES;
                    uint16_t scale;
                    std::memcpy(&scale, block, sizeof(scale));
                    x = V::mul(V::load_bytes(block + 2 + d % 32), V::broadcast_half(scale));
                }
                V::store(to + d, x);
                if constexpr (CHECK) { // 0 for a number, NaN for infinity and NaN
                    Vec& chain = check[d / W % CHAINS];
                    chain = V::fma(x, V::zero(), chain);
                }
            }
        }
        for (const Vec& chain : check)
            check[0] = V::add(check[0], chain);
        return !CHECK || !V::any_nan(check[0]);
    }

    template <bool CHECK>
    static bool load_block(const Attention& a, const char* from, size_t stride, int count, float* to) {
        return with_dims(a.dim, [&](auto dims) {
            constexpr int DIMS = decltype(dims)::value;
            return a.type == CacheType::f16 ? load_cells<CacheType::f16, CHECK, DIMS>(from, stride, count, a.dim, to)
                                            : load_cells<CacheType::q8_0, CHECK, DIMS>(from, stride, count, a.dim, to);
        });
    }

    static const char* mask_row(const Attention& a, int row) {
        return a.mask + static_cast<size_t>(row / a.group) * a.mask_row;
    }

    static Visibility visibility(const Attention& a, const Tile& tile, int cell, int count) {
        if (a.mask == nullptr) return all;
        bool zero = true, hidden = true;
        const int first = tile.first / a.group, last = (tile.first + tile.rows - 1) / a.group;
        for (int token = first; token <= last && (zero || hidden); ++token) {
            const char* mask = a.mask + static_cast<size_t>(token) * a.mask_row + 2 * static_cast<size_t>(cell);
            uint16_t any = 0, different = 0;
            for (int i = 0; i < count; ++i) {
                uint16_t m;
                std::memcpy(&m, mask + 2 * i, sizeof(m));
                any |= m;
                different |= m ^ HIDDEN;
            }
            zero = zero && any == 0;
            hidden = hidden && different == 0;
        }
        return zero ? all : hidden ? none : mixed;
    }

    // ---- scores

    /** Tree over lanes: the sum of lanes congruent to LANE modulo STEP, for CELLS cells and W rows. */
    template <int DIMS, int LANE, int STEP, int CELLS>
    static inline __attribute__((always_inline)) void lane_tree(const float* query, const float* keys, int dim,
                                                                Vec (&sum)[CELLS]) {
        if constexpr (STEP == W) {
            const int d_end = DIMS != 0 ? DIMS : dim;
#pragma GCC unroll 4
            for (int d = LANE; d < d_end; d += W) {
                const Vec q = V::load(query + d * W);
#pragma GCC unroll 4
                for (int c = 0; c < CELLS; ++c) {
                    const Vec k = V::broadcast(keys + c * d_end + d);
                    sum[c] = d == LANE ? V::mul(q, k) : V::fma(q, k, sum[c]);
                }
            }
        } else {
            Vec other[CELLS];
            lane_tree<DIMS, LANE, 2 * STEP, CELLS>(query, keys, dim, sum);
            lane_tree<DIMS, LANE + STEP, 2 * STEP, CELLS>(query, keys, dim, other);
#pragma GCC unroll 4
            for (int c = 0; c < CELLS; ++c)
                sum[c] = V::add(sum[c], other[c]);
        }
    }

    template <int DIMS>
    static void wide_scores(const Attention& a, Tile& tile, const float* keys, int cell, int count, const float* mask) {
        constexpr int CELLS = V::SCORE_CELLS;
        float* scores = tile.scores + static_cast<size_t>(cell) * W;
        const Vec hidden = V::set(-INFINITY);
        for (int c = 0; c < count; c += CELLS) {
            Vec sum[CELLS];
            lane_tree<DIMS, 0, 1, CELLS>(tile.query, keys + static_cast<size_t>(c) * a.dim, a.dim, sum);
#pragma GCC unroll 4
            for (int i = 0; i < CELLS; ++i) {
                if (mask != nullptr) {
                    const Vec m = V::load(mask + (c + i) * W);
                    sum[i] = V::select_equal(m, hidden, hidden, V::add(sum[i], m));
                }
                tile.maximum = V::max(sum[i], tile.maximum);
                V::store(scores + (c + i) * W, sum[i]);
            }
        }
    }

    template <int DIMS>
    static void narrow_scores(const Attention& a, Tile& tile, const float* keys, int cell, int count, bool masked) {
        const int dim = DIMS != 0 ? DIMS : a.dim;
        const Vec hidden = V::set(-INFINITY);
        for (int r = 0; r < tile.rows; ++r) {
            const float* query = tile.query + static_cast<size_t>(r) * dim;
            float* scores = tile.scores + static_cast<size_t>(r) * a.cells + cell;
            const char* mask = masked ? mask_row(a, tile.first + r) + 2 * static_cast<size_t>(cell) : nullptr;
            Vec maximum = V::set(tile.top[r]);
            for (int c = 0; c < count; c += W) {
                Vec part[W];
                // A query vector at a time meets all cells: one load a product, the key's.
                const auto add = [&](int d, auto product) {
                    const Vec q = V::load(query + d);
#pragma GCC unroll 16
                    for (int i = 0; i < W; ++i) {
                        // V::reduce wants the vectors in the order that makes its shuffles come out sorted.
                        const float* key = keys + static_cast<size_t>(c + V::reduce_order(i)) * dim;
                        part[i] = product(q, V::load(key + d), part[i]);
                    }
                };
                add(0, [](Vec q, Vec k, Vec) { return V::mul(q, k); });
#pragma GCC unroll 8
                for (int d = W; d < dim; d += W)
                    add(d, [](Vec q, Vec k, Vec sum) { return V::fma(q, k, sum); });
                Vec sum = V::reduce(part);
                if (mask != nullptr) {
                    const Vec m = V::load_half(mask + 2 * c);
                    sum = V::select_equal(m, hidden, hidden, V::add(sum, m));
                }
                maximum = V::max(sum, maximum);
                V::store(scores + c, sum);
            }
            tile.top[r] = V::top(maximum);
        }
    }

    /** @param mask a wide tile's, where some cells are hidden. */
    template <int DIMS>
    static void add_scores(const Attention& a, Tile& tile, const float* keys, int cell, int count, bool masked,
                           const float* mask) {
        if (tile.wide)
            wide_scores<DIMS>(a, tile, keys, cell, count, mask);
        else
            narrow_scores<DIMS>(a, tile, keys, cell, count, masked);
    }

    /** The mask of W cells from `cell` on, by cell, rows in the lanes; lanes without a row: anything. */
    static void mask_of_lanes(const Attention& a, const Tile& tile, int cell, Vec (&mask)[W]) {
        for (int lane = 0; lane < W; ++lane) {
            const char* row = mask_row(a, tile.first + std::min(lane, tile.rows - 1));
            mask[lane] = V::load_half(row + 2 * static_cast<size_t>(cell));
        }
        V::transpose(mask);
    }

    /** The mask of a wide tile, transposed to [cell][lane]. */
    static void transpose_mask(const Attention& a, const Tile& tile, int cell, int count, float* to) {
        for (int c = 0; c < count; c += W) {
            Vec mask[W];
            mask_of_lanes(a, tile, cell + c, mask);
            for (int i = 0; i < W; ++i)
                V::store(to + (c + i) * W, mask[i]);
        }
    }

    // ---- values

    /** A cell of weight zero adds nothing, even where a stale value isn't finite (`finite` false: checked cell by
     * cell). */
    template <bool FINITE>
    static void wide_values(const Attention& a, Tile& tile, const float* values, int cell, int count) {
        constexpr int DIMS = V::VALUE_DIMS;
        const float* weights = tile.scores + static_cast<size_t>(cell) * W;
        for (int d = 0; d < a.dim; d += DIMS) {
            Vec acc[DIMS];
#pragma GCC unroll 16
            for (int i = 0; i < DIMS; ++i)
                acc[i] = V::load(tile.output + (d + i) * W);
            for (int c = 0; c < count; ++c) {
                const Vec weight = V::load(weights + c * W);
                const float* value = values + static_cast<size_t>(c) * a.dim + d;
#pragma GCC unroll 16
                for (int i = 0; i < DIMS; ++i) {
                    if constexpr (FINITE)
                        acc[i] = V::fma(weight, V::broadcast(value + i), acc[i]);
                    else
                        acc[i] = V::fma_nonzero(weight, V::broadcast(value + i), acc[i]);
                }
            }
#pragma GCC unroll 16
            for (int i = 0; i < DIMS; ++i)
                V::store(tile.output + (d + i) * W, acc[i]);
        }
    }

    /** Vectors of dimensions at a time for `rows` rows: their sums, the rows' weights and a value in registers. */
    static constexpr int narrow_vectors(int rows) {
        int vectors = 8;
        while (rows * vectors + rows + 1 > V::REGISTERS)
            vectors /= 2;
        return vectors;
    }

    template <bool FINITE, int ROWS, int VECTORS>
    static void narrow_values_part(const Attention& a, const float* weights, float* output, const float* values,
                                   int count) {
        Vec acc[ROWS][VECTORS];
        for (int r = 0; r < ROWS; ++r) {
            for (int v = 0; v < VECTORS; ++v)
                acc[r][v] = V::load(output + static_cast<size_t>(r) * a.dim + v * W);
        }
        for (int c = 0; c < count; ++c, values += a.dim) {
            Vec weight[ROWS];
            for (int r = 0; r < ROWS; ++r)
                weight[r] = V::broadcast(weights + static_cast<size_t>(r) * a.cells + c);
#pragma GCC unroll 8
            for (int v = 0; v < VECTORS; ++v) {
                const Vec value = V::load(values + v * W);
#pragma GCC unroll 4
                for (int r = 0; r < ROWS; ++r) {
                    if constexpr (FINITE)
                        acc[r][v] = V::fma(weight[r], value, acc[r][v]);
                    else
                        acc[r][v] = V::fma_nonzero(weight[r], value, acc[r][v]);
                }
            }
        }
        for (int r = 0; r < ROWS; ++r) {
            for (int v = 0; v < VECTORS; ++v)
                V::store(output + static_cast<size_t>(r) * a.dim + v * W, acc[r][v]);
        }
    }

    /** Dimensions from `d` on, as many at a time as there are registers for, then fewer: few are few chains of sums. */
    template <bool FINITE, int ROWS, int VECTORS = narrow_vectors(ROWS)>
    static void narrow_values_rows(const Attention& a, const float* weights, float* output, const float* values,
                                   int count, int d = 0) {
        for (; d + VECTORS * W <= a.dim; d += VECTORS * W)
            narrow_values_part<FINITE, ROWS, VECTORS>(a, weights, output + d, values + d, count);
        if constexpr (VECTORS > 1) narrow_values_rows<FINITE, ROWS, VECTORS / 2>(a, weights, output, values, count, d);
    }

    /** Rows that share a value, or whose chains run side by side. */
    static constexpr int GROUP = 4;

    /** Calls work(first, rows) for every GROUP of a tile's rows, `rows` as a constant. */
    template <class Work> static void by_groups(const Tile& tile, Work&& work) {
        for (int r = 0; r < tile.rows; r += GROUP) {
            switch (std::min(GROUP, tile.rows - r)) {
            case 1:
                work(r, std::integral_constant<int, 1>());
                break;
            case 2:
                work(r, std::integral_constant<int, 2>());
                break;
            case 3:
                work(r, std::integral_constant<int, 3>());
                break;
            default:
                work(r, std::integral_constant<int, GROUP>());
            }
        }
    }

    template <bool FINITE>
    static void narrow_values(const Attention& a, Tile& tile, const float* values, int cell, int count) {
        by_groups(tile, [&](int r, auto rows) {
            narrow_values_rows<FINITE, decltype(rows)::value>(a, tile.scores + static_cast<size_t>(r) * a.cells + cell,
                                                              tile.output + static_cast<size_t>(r) * a.dim, values,
                                                              count);
        });
    }

    // ---- weights: exp(score − maximum), in place

    static void wide_weights(Tile& tile, int cell, int count) {
        float* scores = tile.scores + static_cast<size_t>(cell) * W;
        const Vec maximum = tile.maximum;
        Vec sum = tile.sum;
        for (int c = 0; c < count; ++c) {
            const Vec weight = V::exp(V::sub(V::load(scores + c * W), maximum));
            V::store(scores + c * W, weight);
            sum = V::add(sum, weight);
        }
        tile.sum = sum;
    }

    static void narrow_weights(const Attention& a, Tile& tile, int cell, int count) {
        for (int r = 0; r < tile.rows; ++r) {
            float* scores = tile.scores + static_cast<size_t>(r) * a.cells + cell;
            const Vec maximum = V::set(tile.top[r]);
            for (int c = 0; c < count; c += W)
                V::store(scores + c, V::exp(V::sub(V::load(scores + c), maximum)));
        }
        by_groups(tile, [&](int r, auto rows) {
            add_weights<decltype(rows)::value>(a, tile.scores + static_cast<size_t>(r) * a.cells + cell, count,
                                               tile.total + r);
        });
    }

    /** Cell after cell, as the wide way adds; the rows' chains run side by side, in registers. */
    template <int ROWS> static void add_weights(const Attention& a, const float* weights, int count, float* total) {
        float sum[ROWS];
        std::copy(total, total + ROWS, sum);
        for (int c = 0; c < count; ++c) {
#pragma GCC unroll 4
            for (int r = 0; r < ROWS; ++r)
                sum[r] += weights[static_cast<size_t>(r) * a.cells + c];
        }
        std::copy(sum, sum + ROWS, total);
    }

    // ---- the whole

    static const float* query_row(const Attention& a, int head, int row) {
        return reinterpret_cast<const float*>(a.q + static_cast<size_t>(row / a.group) * a.q_row +
                                              static_cast<size_t>(head * a.group + row % a.group) * a.q_head);
    }

    static float* output_row(const Attention& a, int head, int row) {
        const size_t index = static_cast<size_t>(row / a.group) * a.heads + head * a.group + row % a.group;
        return reinterpret_cast<float*>(a.out + index * a.out_head);
    }

    static void load_queries(const Attention& a, int head, Tile& tile) {
        const Vec scale = V::set(a.scale);
        for (int d = 0; d < a.dim; d += W) {
            Vec x[W];
            for (int r = 0; r < W; ++r)
                x[r] = r < tile.rows ? V::mul(V::load(query_row(a, head, tile.first + r) + d), scale) : V::zero();
            if (tile.wide) {
                V::transpose(x);
                for (int i = 0; i < W; ++i)
                    V::store(tile.query + (d + i) * W, x[i]);
            } else {
                for (int r = 0; r < tile.rows; ++r)
                    V::store(tile.query + static_cast<size_t>(r) * a.dim + d, x[r]);
            }
        }
        std::fill(tile.output, tile.output + static_cast<size_t>(tile.wide ? W : tile.rows) * a.dim, 0.0f);
        tile.maximum = V::set(-INFINITY);
        tile.sum = V::zero();
        std::fill(tile.top, tile.top + W, -INFINITY);
        std::fill(tile.total, tile.total + W, 0.0f);
    }

    static void store_outputs(const Attention& a, int head, Tile& tile) {
        alignas(64) float inverse[W];
        if (tile.wide)
            V::store(inverse, tile.sum);
        else
            std::copy(tile.total, tile.total + W, inverse);
        for (float& sum : inverse)
            sum = sum == 0.0f ? 0.0f : 1.0f / sum;
        for (int d = 0; d < a.dim; d += W) {
            Vec x[W];
            if (tile.wide) {
                for (int i = 0; i < W; ++i)
                    x[i] = V::load(tile.output + (d + i) * W);
                V::transpose(x);
            } else {
                for (int r = 0; r < tile.rows; ++r)
                    x[r] = V::load(tile.output + static_cast<size_t>(r) * a.dim + d);
            }
            for (int r = 0; r < tile.rows; ++r)
                V::store(output_row(a, head, tile.first + r) + d, V::mul(x[r], V::broadcast(inverse + r)));
        }
    }

    static void attend(const Attention& a, int head, int begin, int end, void* scratch) {
        const int step = block_cells(a.dim);
        const int blocks = (a.cells + step - 1) / step;
        const size_t rows_max = attention_chunk(a.cells) + W;
        auto* memory = static_cast<float*>(scratch);
        float* cells = memory;
        float* query = cells + pad(static_cast<size_t>(step) * a.dim);
        float* output = query + pad(rows_max * a.dim);
        float* scores = output + pad(rows_max * a.dim);
        float* mask = scores + pad(rows_max * a.cells);
        auto* seen = reinterpret_cast<uint8_t*>(mask + pad(static_cast<size_t>(step) * W));
        const size_t tiles_max = rows_max / W + 2;
        auto* tiles = reinterpret_cast<Tile*>(
            (reinterpret_cast<uintptr_t>(seen + tiles_max * (blocks + 1) * sizeof(float)) + 63) / 64 * 64);

        int count = 0;
        for (int row = begin; row < end;) {
            Tile& tile = tiles[count++];
            tile.first = row;
            tile.rows = std::min(W, end - row);
            tile.wide = tile.rows >= V::WIDE_FROM;
            tile.query = query;
            tile.output = output;
            tile.scores = scores;
            const size_t lanes = tile.wide ? W : tile.rows;
            query += pad(lanes * a.dim);
            output += pad(lanes * a.dim);
            scores += lanes * a.cells;
            load_queries(a, head, tile);
            row += tile.rows;
        }

        const char* k = a.k + static_cast<size_t>(head) * a.k_head;
        const char* v = a.v + static_cast<size_t>(head) * a.v_head;
        for (int b = 0; b < blocks; ++b) {
            const int cell = b * step, here = std::min(step, a.cells - cell);
            bool any = false;
            for (int t = 0; t < count; ++t) {
                seen[t * blocks + b] = visibility(a, tiles[t], cell, here);
                any = any || seen[t * blocks + b] != none;
            }
            if (!any) continue;
            load_block<false>(a, k + static_cast<size_t>(cell) * a.k_cell, a.k_cell, here, cells);
            for (int t = 0; t < count; ++t) {
                Tile& tile = tiles[t];
                const auto view = seen[t * blocks + b];
                if (view == none) continue;
                const float* hidden = nullptr;
                if (tile.wide && view == mixed) {
                    transpose_mask(a, tile, cell, here, mask);
                    hidden = mask;
                }
                with_dims(a.dim, [&](auto dims) {
                    add_scores<decltype(dims)::value>(a, tile, cells, cell, here, view == mixed, hidden);
                });
            }
        }
        // A row that sees nothing: exp(−∞ − 0) = 0 instead of exp(−∞ + ∞).
        for (int t = 0; t < count; ++t) {
            tiles[t].maximum = V::max(tiles[t].maximum, V::set(-3.4e38f));
            for (float& top : tiles[t].top)
                top = std::max(top, -3.4e38f);
        }
        for (int b = 0; b < blocks; ++b) {
            const int cell = b * step, here = std::min(step, a.cells - cell);
            bool loaded = false, finite = true;
            for (int t = 0; t < count; ++t) {
                Tile& tile = tiles[t];
                if (seen[t * blocks + b] == none) continue;
                if (!loaded) {
                    finite = load_block<true>(a, v + static_cast<size_t>(cell) * a.v_cell, a.v_cell, here, cells);
                    loaded = true;
                }
                if (tile.wide) {
                    wide_weights(tile, cell, here);
                    if (finite)
                        wide_values<true>(a, tile, cells, cell, here);
                    else
                        wide_values<false>(a, tile, cells, cell, here);
                } else {
                    narrow_weights(a, tile, cell, here);
                    if (finite)
                        narrow_values<true>(a, tile, cells, cell, here);
                    else
                        narrow_values<false>(a, tile, cells, cell, here);
                }
            }
        }
        for (int t = 0; t < count; ++t)
            store_outputs(a, head, tiles[t]);
    }
};

} // namespace specdiff::kernels

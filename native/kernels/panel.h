// How weights and activations lie in memory for the matrix kernels; one layout per type serves every row count.
#pragma once

#include <cstddef>
#include <cstdint>

namespace specdiff::kernels {

/** Output rows in a panel: one 512-bit register of 32-bit sums. */
constexpr int PANEL_ROWS = 16;
/** Panels of a matrix of so many rows; a last one of fewer rows is filled up with zeros. */
constexpr int64_t panels_of(int64_t rows) {
    return (rows + PANEL_ROWS - 1) / PANEL_ROWS;
}
/** Weights of one row in a block: the granularity of ggml's scales. */
constexpr int BLOCK = 32;
/** Activation rows that share one unpacking of a panel: 16 sums, 8 weights and temporaries fill 32 registers. */
constexpr int MAX_TILE = 16;

/**
 * Weights are unsigned with `bits` bits; a weight is d·(q − bias) without, d·q + m with minimum. K-quants' two-level
 * scales are multiplied out to one f16 per block at load (relative error 2^-11, far below the quantization's own).
 */
enum class Layout { u4, u4_min, u5, u5_min, u6, u8 };

/**
 * The 16 rows × 32 weights of one block. Vector i (64 bytes) holds, for each row r, at byte 4·r + j the weights 4·i + j
 * (low nibble) and 4·i + j + 16 (high nibble), which is ggml's own order within a row: repacking moves whole words.
 */
struct Nibbles {
    uint8_t q[4 * 64];
};

template <Layout L> struct PanelBlock;
template <> struct PanelBlock<Layout::u4> : Nibbles {
    uint16_t d[PANEL_ROWS];
};
template <> struct PanelBlock<Layout::u4_min> : Nibbles {
    uint16_t d[PANEL_ROWS], m[PANEL_ROWS];
};
/** high: at byte 4·r + j, bit g is the fifth bit of weight 4·g + j. */
template <> struct PanelBlock<Layout::u5> : Nibbles {
    uint8_t high[64];
    uint16_t d[PANEL_ROWS];
};
template <> struct PanelBlock<Layout::u5_min> : Nibbles {
    uint8_t high[64];
    uint16_t d[PANEL_ROWS], m[PANEL_ROWS];
};
/** high: vector g/4, byte 4·r + j, bits 2·(g%4): the two high bits of weight 4·g + j. A scale for each 16 weights. */
template <> struct PanelBlock<Layout::u6> : Nibbles {
    uint8_t high[2 * 64];
    uint16_t d[2][PANEL_ROWS];
};
/** q: vector g, byte 4·r + j is weight 4·g + j, plus 128. */
template <> struct PanelBlock<Layout::u8> {
    uint8_t q[8 * 64];
    uint16_t d[PANEL_ROWS];
};

constexpr bool has_minimum(Layout l) {
    return l == Layout::u4_min || l == Layout::u5_min;
}
constexpr int bias_of(Layout l) {
    return l == Layout::u4 ? 8 : l == Layout::u5 ? 16 : l == Layout::u6 ? 32 : l == Layout::u8 ? 128 : 0;
}

/**
 * 32 activations of one row: x ≈ scale·q. `sum` serves the bias or the minimum: −bias·Σq as an integer, or scale·Σq as
 * a float where the layout has a minimum; u6 has one for each 16.
 */
template <Layout L> struct ActivationBlock {
    int8_t q[BLOCK];
    float scale;
    union {
        int32_t bias;
        float scaled;
    } sum[L == Layout::u6 ? 2 : 1];
};

/** Rows in tile `index` when `rows` rows are cut into as few tiles as possible, evenly. */
struct Tiles {
    int64_t rows, count;
    explicit Tiles(int64_t n) : rows(n), count((n + MAX_TILE - 1) / MAX_TILE) {}
    int64_t begin(int64_t index) const { return rows * index / count; }
    int size(int64_t index) const { return static_cast<int>(begin(index + 1) - begin(index)); }
};

} // namespace specdiff::kernels

// What the AMX kernels share: tiles of 16 rows × 64 bytes.
#pragma once

#include "../unroll.h"

#include <immintrin.h>

#include <cstdint>

namespace specdiff::kernels::amx {

// Each file that includes this may be compiled for another instruction set and must keep its copies to itself.
namespace {

constexpr int TILE_ROWS = 16;
/** Numbers of bf16 in a tile's row: what one product sums over. */
constexpr int TILE_DEPTH = 32;
constexpr int TILE_BYTES = 1024;

/** What ldtilecfg reads. */
struct alignas(64) TileConfig {
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t row_bytes[16] = {};
    uint8_t rows[16] = {};
};
static_assert(sizeof(TileConfig) == 64, "ldtilecfg reads 64 bytes");

constexpr TileConfig full_tiles() {
    TileConfig config;
    for (int i = 0; i < 8; ++i) {
        config.rows[i] = TILE_ROWS;
        config.row_bytes[i] = 64;
    }
    return config;
}

/** The intrinsics don't tell the compiler that a tile load reads what `data` points to: makes it finish all stores. */
SPECDIFF_INLINE inline void stores_done(const void* data) {
    __asm__ volatile("" : : "r"(data) : "memory");
}

/**
 * Gives all of this thread's tiles their full shape where they have another: asking (19 cycles) instead of remembering
 * holds whatever other code does to them. They keep it: tiles are cleared before use, and the system drops them from an
 * idle core by itself.
 */
inline void shape_tiles() {
    static constexpr TileConfig wanted = full_tiles();
    TileConfig present;
    stores_done(&present); // what it is made with must not come after
    _tile_storeconfig(&present);
    __asm__ volatile("" : "+m"(present)); // all of it was written, not only what the intrinsic says
    const __m512i difference = _mm512_xor_si512(_mm512_load_si512(&present), _mm512_load_si512(&wanted));
    if (_mm512_test_epi32_mask(difference, difference) != 0) {
        stores_done(&wanted);
        _tile_loadconfig(&wanted);
    }
}

/** Both rounded to bf16, to nearest: words with `first` in the lower half, `second` in the upper. A NaN stays one. */
SPECDIFF_INLINE inline __m512i pairs(__m512 first, __m512 second) {
    const auto one_after_the_other = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(second, first));
    const __m512i alternating = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7,
                                                 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return _mm512_permutexvar_epi16(alternating, one_after_the_other);
}

} // namespace

} // namespace specdiff::kernels::amx

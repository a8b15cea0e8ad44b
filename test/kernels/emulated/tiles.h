// AMX: one thread's tile registers and what the kernels do with them, exactly, with every check that makes the hardware
// raise an exception; here the program says which and stops.
#pragma once

#include "avx512.h"
#include "instruction.h"

#include <immintrin.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace emulated {

struct Tiles {
    static constexpr int COUNT = 8, ROWS = 16, ROW_BYTES = 64;

    struct Config {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } config{};
    uint8_t data[COUNT][ROWS][ROW_BYTES] = {};

    static Tiles& of_thread() {
        static thread_local Tiles tiles;
        return tiles;
    }
    static void require(bool condition, const char* exception) {
        if (condition) return;
        std::fprintf(stderr, "AMX: %s\n", exception);
        std::abort();
    }
    void usable(int tile) const {
        require(config.palette == 1, "#UD, tiles are not configured");
        require(tile >= 0 && tile < COUNT, "#UD, no such tile");
        require(config.rows[tile] != 0 && config.row_bytes[tile] != 0, "#UD, the tile has no shape");
        require(config.start_row == 0, "start_row is not emulated");
    }
};
static_assert(sizeof(Tiles::Config) == 64, "as ldtilecfg reads it");

inline void tile_loadconfig(const void* from) {
    EMULATES("ldtilecfg");
    auto& tiles = Tiles::of_thread();
    Tiles::Config wanted;
    std::memcpy(&wanted, from, sizeof(wanted));
    Tiles::require(wanted.palette <= 1, "#GP, palette");
    if (wanted.palette == 0) {
        tiles = Tiles();
        return;
    }
    for (const uint8_t byte : wanted.reserved)
        Tiles::require(byte == 0, "#GP, reserved bytes");
    for (int i = 0; i < 16; ++i) {
        Tiles::require(i < Tiles::COUNT || (wanted.rows[i] == 0 && wanted.row_bytes[i] == 0), "#GP, tile beyond 7");
        Tiles::require(wanted.rows[i] <= Tiles::ROWS && wanted.row_bytes[i] <= Tiles::ROW_BYTES, "#GP, shape");
        Tiles::require((wanted.rows[i] == 0) == (wanted.row_bytes[i] == 0), "#GP, half a shape");
    }
    tiles = Tiles();
    tiles.config = wanted;
}

inline void tile_storeconfig(void* to) {
    EMULATES("sttilecfg");
    std::memcpy(to, &Tiles::of_thread().config, sizeof(Tiles::Config));
}

inline void tile_zero(int tile) {
    EMULATES("tilezero");
    auto& tiles = Tiles::of_thread();
    tiles.usable(tile);
    std::memset(tiles.data[tile], 0, sizeof(tiles.data[tile]));
}

inline void tile_loadd(int tile, const void* base, int64_t stride) {
    EMULATES("tileloadd");
    auto& tiles = Tiles::of_thread();
    tiles.usable(tile);
    std::memset(tiles.data[tile], 0, sizeof(tiles.data[tile]));
    for (int row = 0; row < tiles.config.rows[tile]; ++row)
        std::memcpy(tiles.data[tile][row], static_cast<const char*>(base) + row * stride, tiles.config.row_bytes[tile]);
}

inline void tile_stored(int tile, void* base, int64_t stride) {
    EMULATES("tilestored");
    const auto& tiles = Tiles::of_thread();
    tiles.usable(tile);
    for (int row = 0; row < tiles.config.rows[tile]; ++row)
        std::memcpy(static_cast<char*>(base) + row * stride, tiles.data[tile][row], tiles.config.row_bytes[tile]);
}

/** Within it, denormal numbers are zero: operands, and results that would be denormal after rounding. */
class FlushingDenormals {
  public:
    FlushingDenormals() : before_(_mm_getcsr()) { set(before_ | _MM_FLUSH_ZERO_ON | _MM_DENORMALS_ZERO_ON); }
    ~FlushingDenormals() { set(before_); }
    FlushingDenormals(const FlushingDenormals&) = delete;
    FlushingDenormals& operator=(const FlushingDenormals&) = delete;

  private:
    /** No sum of what lies in memory moves across. */
    static void set(unsigned control) {
        __asm__ volatile("" ::: "memory");
        _mm_setcsr(control);
        __asm__ volatile("" ::: "memory");
    }
    unsigned before_;
};

/**
 * sums += a · b: bf16, two to a word; row k of b holds words k of all columns. Two sums for each column, of the words'
 * lower and of their upper halves, rounded after each product and added at the end: compared with an Emerald Rapids bit
 * for bit, with denormal numbers, infinities and smaller tiles; which of several NaNs comes out isn't emulated.
 */
EMULATED void tile_dpbf16ps(int sums, int a, int b) {
    EMULATES("tdpbf16ps");
    auto& tiles = Tiles::of_thread();
    for (const int tile : {sums, a, b})
        tiles.usable(tile);
    const auto& c = tiles.config;
    Tiles::require(sums != a && sums != b && a != b, "#UD, operands must differ");
    Tiles::require(c.row_bytes[sums] == c.row_bytes[b] && c.rows[sums] == c.rows[a] &&
                       c.row_bytes[a] == 4 * c.rows[b] && c.row_bytes[sums] % 4 == 0,
                   "#UD, shapes don't fit");
    const FlushingDenormals flushing;
    constexpr auto low = [](uint32_t word) { return bits_to_float(word << 16); };
    constexpr auto high = [](uint32_t word) { return bits_to_float(word & 0xFFFF0000); };
    for (int row = 0; row < c.rows[sums]; ++row) {
        // All 16 columns; those that the tile lacks hold zero.
        const U32 x(tiles.data[a][row]);
        F32 even = each<F32>([](int) { return 0.0f; }), odd = even;
        for (int k = 0; k < c.rows[b]; ++k) {
            const U32 y(tiles.data[b][k]);
            even = each<F32>([&](int i) { return __builtin_fmaf(low(x[k]), low(y[i]), even[i]); });
            odd = each<F32>([&](int i) { return __builtin_fmaf(high(x[k]), high(y[i]), odd[i]); });
        }
        const F32 before(tiles.data[sums][row]);
        const F32 after = each<F32>([&](int i) { return before[i] + (even[i] + odd[i]); });
        std::memcpy(tiles.data[sums][row], after.at, c.row_bytes[sums]);
    }
}

} // namespace emulated

#undef _tile_loadd
#undef _tile_stored
#undef _tile_zero
#undef _tile_dpbf16ps
#define _tile_loadconfig ::emulated::tile_loadconfig
#define _tile_storeconfig ::emulated::tile_storeconfig
#define _tile_loadd ::emulated::tile_loadd
#define _tile_stored ::emulated::tile_stored
#define _tile_zero ::emulated::tile_zero
#define _tile_dpbf16ps ::emulated::tile_dpbf16ps

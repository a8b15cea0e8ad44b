// AMX: one thread's tile registers and what the kernels do with them, exactly, with every check that makes the hardware
// raise an exception; here the program says which and stops.
#pragma once

#include "instruction.h"

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

/** sums += a · b: signed bytes, four to a word; row k of b holds words k of all columns. */
inline void tile_dpbssd(int sums, int a, int b) {
    EMULATES("tdpbssd");
    auto& tiles = Tiles::of_thread();
    for (const int tile : {sums, a, b})
        tiles.usable(tile);
    const auto& c = tiles.config;
    Tiles::require(sums != a && sums != b && a != b, "#UD, operands must differ");
    Tiles::require(c.row_bytes[sums] == c.row_bytes[b] && c.rows[sums] == c.rows[a] &&
                       c.row_bytes[a] == 4 * c.rows[b] && c.row_bytes[sums] % 4 == 0,
                   "#UD, shapes don't fit");
    for (int row = 0; row < c.rows[sums]; ++row) {
        for (int column = 0; column < c.row_bytes[sums] / 4; ++column) {
            uint32_t sum;
            std::memcpy(&sum, &tiles.data[sums][row][4 * column], sizeof(sum));
            for (int k = 0; k < c.rows[b]; ++k) {
                for (int i = 0; i < 4; ++i) {
                    const int x = static_cast<int8_t>(tiles.data[a][row][4 * k + i]),
                              y = static_cast<int8_t>(tiles.data[b][k][4 * column + i]);
                    sum += static_cast<uint32_t>(x * y);
                }
            }
            std::memcpy(&tiles.data[sums][row][4 * column], &sum, sizeof(sum));
        }
    }
}

} // namespace emulated

#undef _tile_loadd
#undef _tile_stored
#undef _tile_zero
#undef _tile_dpbssd
#define _tile_loadconfig ::emulated::tile_loadconfig
#define _tile_storeconfig ::emulated::tile_storeconfig
#define _tile_loadd ::emulated::tile_loadd
#define _tile_stored ::emulated::tile_stored
#define _tile_zero ::emulated::tile_zero
#define _tile_dpbssd ::emulated::tile_dpbssd

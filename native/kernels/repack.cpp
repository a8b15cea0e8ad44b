#include "repack.h"

#include <algorithm>
#include <cstring>
#include <thread>
#include <vector>

#ifdef __linux__
#include <sched.h>
#endif

namespace specdiff::kernels {

namespace {

// ggml's blocks (ggml-common.h), restated because that header wants a language dialect macro and brings tables along.
struct Q4_0 {
    uint16_t d;
    uint8_t qs[16];
};
struct Q4_1 {
    uint16_t d, m;
    uint8_t qs[16];
};
struct Q5_0 {
    uint16_t d;
    uint8_t qh[4], qs[16];
};
struct Q5_1 {
    uint16_t d, m;
    uint8_t qh[4], qs[16];
};
struct Q8_0 {
    uint16_t d;
    int8_t qs[32];
};
struct Q4_K {
    uint16_t d, dmin;
    uint8_t scales[12], qs[128];
};
struct Q5_K {
    uint16_t d, dmin;
    uint8_t scales[12], qh[32], qs[128];
};
struct Q6_K {
    uint8_t ql[128], qh[64];
    int8_t scales[16];
    uint16_t d;
};

uint32_t word(const void* from, int index = 0) {
    uint32_t w;
    std::memcpy(&w, static_cast<const char*>(from) + 4 * index, sizeof(w));
    return w;
}

/** Puts a word of four weights into vector `index` of a panel block, row `row`. */
void put(uint8_t* vectors, int index, int row, uint32_t w) {
    std::memcpy(vectors + 64 * index + 4 * row, &w, sizeof(w));
}

void put_nibbles(uint8_t* vectors, int row, const uint8_t* qs) {
    for (int i = 0; i < 4; ++i)
        put(vectors, i, row, word(qs, i));
}

/** 32 fifth bits in weight order to a byte for each of the four weights of a word: bit g from weight 4·g + j. */
uint32_t spread_high_bits(uint32_t bits) {
    uint32_t result = 0;
    for (int j = 0; j < 4; ++j) {
        uint32_t x = (bits >> j) & 0x11111111;
        x = (x | (x >> 3)) & 0x03030303;
        x = (x | (x >> 6)) & 0x000F000F;
        x = (x | (x >> 12)) & 0xFF;
        result |= x << (8 * j);
    }
    return result;
}

struct ScaleAndMinimum {
    uint16_t d, m;
};

/** Sub-block `index`'s 6-bit scale and minimum of a K-quant, multiplied out. */
ScaleAndMinimum multiplied(uint16_t d, uint16_t dmin, const uint8_t* scales, int index) {
    int scale, minimum;
    if (index < 4) {
        scale = scales[index] & 63;
        minimum = scales[index + 4] & 63;
    } else {
        scale = (scales[index + 4] & 15) | ((scales[index - 4] >> 6) << 4);
        minimum = (scales[index + 4] >> 4) | ((scales[index] >> 6) << 4);
    }
    return {ggml_fp32_to_fp16(ggml_fp16_to_fp32(d) * static_cast<float>(scale)),
            ggml_fp32_to_fp16(-ggml_fp16_to_fp32(dmin) * static_cast<float>(minimum))};
}

/** 32 nibbles of a K-quant's sub-block (32 bytes, low or high half) as ggml's 16 bytes of Q4_0 order. */
void put_k_nibbles(uint8_t* vectors, int row, const uint8_t* qs, bool high) {
    const int shift = high ? 4 : 0;
    for (int i = 0; i < 4; ++i) {
        const uint32_t low = (word(qs, i) >> shift) & 0x0F0F0F0F, up = (word(qs, i + 4) >> shift) & 0x0F0F0F0F;
        put(vectors, i, row, low | (up << 4));
    }
}

// One function for each type: sub-block `b` (32 weights) of one row into row `r` of a panel block.

void place(PanelBlock<Layout::u4>& to, int r, const Q4_0* from, int64_t b) {
    to.d[r] = from[b].d;
    put_nibbles(to.q, r, from[b].qs);
}

void place(PanelBlock<Layout::u4_min>& to, int r, const Q4_1* from, int64_t b) {
    to.d[r] = from[b].d;
    to.m[r] = from[b].m;
    put_nibbles(to.q, r, from[b].qs);
}

void place(PanelBlock<Layout::u5>& to, int r, const Q5_0* from, int64_t b) {
    to.d[r] = from[b].d;
    put_nibbles(to.q, r, from[b].qs);
    put(to.high, 0, r, spread_high_bits(word(from[b].qh)));
}

void place(PanelBlock<Layout::u5_min>& to, int r, const Q5_1* from, int64_t b) {
    to.d[r] = from[b].d;
    to.m[r] = from[b].m;
    put_nibbles(to.q, r, from[b].qs);
    put(to.high, 0, r, spread_high_bits(word(from[b].qh)));
}

void place(PanelBlock<Layout::u8>& to, int r, const Q8_0* from, int64_t b) {
    to.d[r] = from[b].d;
    for (int g = 0; g < 8; ++g)
        put(to.q, g, r, word(from[b].qs, g) ^ 0x80808080);
}

void place(PanelBlock<Layout::u4_min>& to, int r, const Q4_K* from, int64_t b) {
    const auto& block = from[b / 8];
    const int j = static_cast<int>(b % 8);
    const auto scale = multiplied(block.d, block.dmin, block.scales, j);
    to.d[r] = scale.d;
    to.m[r] = scale.m;
    put_k_nibbles(to.q, r, block.qs + 32 * (j / 2), (j & 1) != 0);
}

void place(PanelBlock<Layout::u5_min>& to, int r, const Q5_K* from, int64_t b) {
    const auto& block = from[b / 8];
    const int j = static_cast<int>(b % 8);
    const auto scale = multiplied(block.d, block.dmin, block.scales, j);
    to.d[r] = scale.d;
    to.m[r] = scale.m;
    put_k_nibbles(to.q, r, block.qs + 32 * (j / 2), (j & 1) != 0);
    uint32_t high = 0;
    for (int g = 0; g < 8; ++g)
        high |= ((word(block.qh, g) >> j) & 0x01010101) << g;
    put(to.high, 0, r, high);
}

void place(PanelBlock<Layout::u6>& to, int r, const Q6_K* from, int64_t b) {
    const auto& block = from[b / 8];
    const int half = static_cast<int>(b % 8) / 4, quarter = static_cast<int>(b % 4);
    const float d = ggml_fp16_to_fp32(block.d);
    for (int i = 0; i < 2; ++i) {
        to.d[i][r] = ggml_fp32_to_fp16(d * static_cast<float>(block.scales[8 * half + 2 * quarter + i]));
    }
    put_k_nibbles(to.q, r, block.ql + 64 * half + 32 * (quarter & 1), quarter >= 2);
    for (int vector = 0; vector < 2; ++vector) {
        uint32_t high = 0;
        for (int g = 0; g < 4; ++g) {
            high |= ((word(block.qh + 32 * half, 4 * vector + g) >> (2 * quarter)) & 0x03030303) << (2 * g);
        }
        put(to.high, vector, r, high);
    }
}

template <Layout L, class Source>
void repack_panels(int64_t begin, int64_t end, int64_t rows, int64_t columns, size_t row_bytes, const void* from,
                   void* to) {
    const int64_t blocks = columns / BLOCK;
    auto* panels = static_cast<PanelBlock<L>*>(to);
    for (int64_t p = begin; p < end; ++p) {
        const auto here = static_cast<int>(std::min<int64_t>(PANEL_ROWS, rows - p * PANEL_ROWS));
        for (int64_t b = 0; b < blocks; ++b) {
            auto& block = panels[p * blocks + b];
            if (here < PANEL_ROWS) block = {};
            for (int r = 0; r < here; ++r) {
                const auto* row = static_cast<const char*>(from) + static_cast<size_t>(p * PANEL_ROWS + r) * row_bytes;
                place(block, r, reinterpret_cast<const Source*>(row), b);
            }
        }
    }
}

using RepackPanels = void (*)(int64_t, int64_t, int64_t, int64_t, size_t, const void*, void*);

struct Entry {
    ggml_type type;
    Layout layout;
    size_t block_bytes;
    RepackPanels repack;
};

constexpr Entry ENTRIES[] = {
    {GGML_TYPE_Q4_0, Layout::u4, sizeof(PanelBlock<Layout::u4>), repack_panels<Layout::u4, Q4_0>},
    {GGML_TYPE_Q4_1, Layout::u4_min, sizeof(PanelBlock<Layout::u4_min>), repack_panels<Layout::u4_min, Q4_1>},
    {GGML_TYPE_Q5_0, Layout::u5, sizeof(PanelBlock<Layout::u5>), repack_panels<Layout::u5, Q5_0>},
    {GGML_TYPE_Q5_1, Layout::u5_min, sizeof(PanelBlock<Layout::u5_min>), repack_panels<Layout::u5_min, Q5_1>},
    {GGML_TYPE_Q8_0, Layout::u8, sizeof(PanelBlock<Layout::u8>), repack_panels<Layout::u8, Q8_0>},
    {GGML_TYPE_Q4_K, Layout::u4_min, sizeof(PanelBlock<Layout::u4_min>), repack_panels<Layout::u4_min, Q4_K>},
    {GGML_TYPE_Q5_K, Layout::u5_min, sizeof(PanelBlock<Layout::u5_min>), repack_panels<Layout::u5_min, Q5_K>},
    {GGML_TYPE_Q6_K, Layout::u6, sizeof(PanelBlock<Layout::u6>), repack_panels<Layout::u6, Q6_K>},
};

const Entry* entry_of(ggml_type type) {
    for (const auto& entry : ENTRIES) {
        if (entry.type == type) return &entry;
    }
    return nullptr;
}

int cores() {
#ifdef __linux__
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0) return std::max(1, CPU_COUNT(&allowed));
#endif
    return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

} // namespace

std::optional<Layout> layout_of(ggml_type type) {
    const auto* entry = entry_of(type);
    return entry != nullptr ? std::optional<Layout>(entry->layout) : std::nullopt;
}

bool fits_panels(const ggml_tensor* weights) {
    return entry_of(weights->type) != nullptr && weights->ne[1] >= PANEL_ROWS &&
           weights->ne[0] % ggml_blck_size(weights->type) == 0 && weights->ne[2] == 1 && weights->ne[3] == 1;
}

size_t panel_bytes(ggml_type type, int64_t rows, int64_t columns) {
    return static_cast<size_t>(panels_of(rows)) * static_cast<size_t>(columns / BLOCK) * entry_of(type)->block_bytes;
}

void repack(ggml_type type, int64_t rows, int64_t columns, const void* from, void* to) {
    const auto* entry = entry_of(type);
    const size_t row_bytes = ggml_row_size(type, columns);
    const int64_t panels = panels_of(rows);
    // A thread takes as long to start as repacking a few hundred kilobytes.
    const auto worth = static_cast<int64_t>(static_cast<size_t>(rows) * row_bytes / (512 * 1024)) + 1;
    const int64_t threads = std::min<int64_t>({cores(), worth, panels});
    const auto part = [&](int64_t index) {
        entry->repack(panels * index / threads, panels * (index + 1) / threads, rows, columns, row_bytes, from, to);
    };
    std::vector<std::thread> workers;
    int64_t begun = 1;
    try {
        workers.reserve(static_cast<size_t>(threads - 1));
        for (; begun < threads; ++begun)
            workers.emplace_back(part, begun);
    } catch (const std::exception&) {
        // Where no more threads can be had, this one does what is left.
    }
    part(0);
    for (; begun < threads; ++begun)
        part(begun);
    for (auto& worker : workers)
        worker.join();
}

} // namespace specdiff::kernels

// Compiled with -O3 -fno-trapping-math (CMakeLists.txt), without which compilers make no vectors of the loops.
#include "shortlist.h"

#include "fetch.h"
#include "row_floats.h"
#include "vector_code.h"

#include <ggml.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

namespace specdiff {

namespace {

constexpr size_t BLOCK = LowRank::BLOCK;
/** Of a block in Q8_0: a scale in 16 bits, then the weights. */
constexpr size_t BLOCK_BYTES = 34;
/** Rows are fetched so far ahead: each is elsewhere, and memory takes as long as some of them. */
constexpr size_t FETCHED_AHEAD = 4;
/** Estimates are compared side by side in so many groups: entry i is in group i modulo GROUPS. */
constexpr size_t GROUPS = 256;
constexpr size_t TILE_ROWS = 4;
constexpr size_t TILE_COLUMNS = 16;

void append(std::vector<uint8_t>& blocks, ggml_type type, const float* values, size_t rows, size_t columns) {
    const size_t start = blocks.size();
    blocks.resize(start + rows * ggml_row_size(type, static_cast<int64_t>(columns)));
    ggml_quantize_chunk(type, values, blocks.data() + start, 0, static_cast<int64_t>(rows),
                        static_cast<int64_t>(columns), nullptr);
}

/** Four rows [4, width] · 16 columns of spread [width, rank]: sums that stay in registers, to 16 columns of four rows.
 */
SPECDIFF_VECTOR_CODE
void multiply_tile(const float* rows, size_t width, const float* spread, size_t rank, float* to) {
    std::array<float, TILE_COLUMNS> a{};
    std::array<float, TILE_COLUMNS> b{};
    std::array<float, TILE_COLUMNS> c{};
    std::array<float, TILE_COLUMNS> d{};
    for (size_t i = 0; i < width; ++i) {
        const float* const factors = spread + i * rank;
        for (size_t column = 0; column < TILE_COLUMNS; ++column) {
            a[column] += rows[i] * factors[column];
            b[column] += rows[width + i] * factors[column];
            c[column] += rows[2 * width + i] * factors[column];
            d[column] += rows[3 * width + i] * factors[column];
        }
    }
    for (const auto& sums : {a, b, c, d}) {
        std::copy(sums.begin(), sums.end(), to);
        to += rank;
    }
}

/** What all rows have in common changes no order, and would take most of UP_TYPE's few bits. */
void take_mean_off(std::vector<float>& rows, size_t count, size_t columns) {
    std::vector<float> mean(columns, 0.0F);
    for (size_t row = 0; row < count; ++row) {
        for (size_t column = 0; column < columns; ++column)
            mean[column] += rows[row * columns + column];
    }
    for (float& sum : mean)
        sum /= static_cast<float>(count);
    for (size_t row = 0; row < count; ++row) {
        for (size_t column = 0; column < columns; ++column)
            rows[row * columns + column] -= mean[column];
    }
}

/** Each group's greatest; −infinity where none is a number. */
SPECDIFF_VECTOR_CODE
void find_greatest(const float* values, size_t size, std::array<float, GROUPS>& greatest) {
    greatest.fill(-INFINITY);
    for (size_t start = 0; start < size; start += GROUPS) {
        const size_t end = std::min(GROUPS, size - start);
        for (size_t i = 0; i < end; ++i)
            greatest[i] = values[start + i] > greatest[i] ? values[start + i] : greatest[i];
    }
}

/** How many are no less. */
SPECDIFF_VECTOR_CODE
int count_from(const std::array<float, GROUPS>& values, float least) {
    int count = 0;
    for (const float value : values)
        count += value >= least ? 1 : 0;
    return count;
}

/**
 * A number that at least `wanted` of the values are no less than, and where it can be had not many more: by halving,
 * since sorting takes ten times as long. −infinity where fewer are finite.
 */
float nearly_greatest(const std::array<float, GROUPS>& values, int wanted) {
    constexpr int HALVINGS = 12;
    float most = -INFINITY;
    float least = INFINITY;
    for (const float value : values) {
        most = std::max(most, value);
        if (std::isfinite(value)) least = std::min(least, value);
    }
    if (count_from(values, least) < wanted) return -INFINITY;
    for (int i = 0; i < HALVINGS; ++i) {
        const float middle = least / 2 + most / 2;
        const int count = count_from(values, middle);
        (count >= wanted ? least : most) = middle;
        if (count >= wanted && count <= wanted + wanted / 4) break;
    }
    return least;
}

/** In 16 bits of the greatest: 2^-16, far below the weights' own rounding. Returns what one of them is worth. */
SPECDIFF_VECTOR_CODE
float round_state(const float* hidden, std::vector<int16_t>& rounded) {
    constexpr float MOST = std::numeric_limits<int16_t>::max();
    float largest = 0;
    for (size_t i = 0; i < rounded.size(); ++i)
        largest = std::max(largest, std::abs(hidden[i]));
    const float inverse = largest > 0 ? MOST / largest : 0.0F;
    for (size_t i = 0; i < rounded.size(); ++i) {
        float value = hidden[i] * inverse;
        value = value > -MOST ? value : -MOST; // what is no number, too
        value = value < MOST ? value : MOST;
        rounded[i] = static_cast<int16_t>(value + (value < 0 ? -0.5F : 0.5F));
    }
    return largest / MOST;
}

/** A row of the head times numbers of 16 bits. */
SPECDIFF_VECTOR_CODE
float multiply_row(const int8_t* weights, const float* scales, const int16_t* x, size_t width) {
    float sum = 0;
    for (size_t start = 0; start < width; start += BLOCK) {
        int32_t products = 0;
        for (size_t i = start; i < start + BLOCK; ++i)
            products += int32_t{int16_t{weights[i]}} * int32_t{x[i]};
        sum += scales[start / BLOCK] * static_cast<float>(products);
    }
    return sum;
}

} // namespace

Shortlist::Shortlist(const GgufFile& drafter, const TensorInfo& head, const LowRank& low_rank)
    : width_(static_cast<size_t>(head.shape[0])), vocabulary_(static_cast<size_t>(head.shape[1])),
      row_lines_((width_ + width_ / BLOCK * sizeof(float) + CACHE_LINE - 1) / CACHE_LINE),
      rows_(vocabulary_ * row_lines_) {
    const auto rank = static_cast<size_t>(low_rank.rank);
    append(down_, DOWN_TYPE, low_rank.down.data(), rank, width_);
    const auto bytes = drafter.read_bytes(head);
    // A few rows at a time: all of them would be 20 MB of floats. Behind the last ones older ones may stand.
    std::vector<float> rows(TILE_ROWS * width_);
    std::vector<float> products((vocabulary_ + TILE_ROWS - 1) / TILE_ROWS * TILE_ROWS * rank);
    std::vector<uint8_t> blocks;
    for (size_t start = 0; start < vocabulary_; start += TILE_ROWS) {
        const size_t count = std::min(TILE_ROWS, vocabulary_ - start);
        const uint8_t* const from = bytes.data() + bytes.size() / vocabulary_ * start;
        to_floats(head.type, from, rows.data(), static_cast<int64_t>(count * width_));
        for (size_t column = 0; column < rank; column += TILE_COLUMNS)
            multiply_tile(rows.data(), width_, low_rank.spread.data() + column, rank,
                          products.data() + start * rank + column);
        blocks.clear();
        if (head.type != GGML_TYPE_Q8_0) append(blocks, GGML_TYPE_Q8_0, rows.data(), count, width_);
        for (size_t row = 0; row < count; ++row)
            keep(start + row, (blocks.empty() ? from : blocks.data()) + row * width_ / BLOCK * BLOCK_BYTES);
    }
    take_mean_off(products, vocabulary_, rank);
    append(up_, UP_TYPE, products.data(), vocabulary_, rank);
}

void Shortlist::keep(size_t entry, const uint8_t* blocks) {
    auto* const weights = reinterpret_cast<int8_t*>(rows_.data() + entry * row_lines_);
    auto* const scales = reinterpret_cast<float*>(weights + width_);
    for (size_t block = 0; block < width_ / BLOCK; ++block, blocks += BLOCK_BYTES) {
        ggml_fp16_t scale = 0;
        std::memcpy(&scale, blocks, sizeof(scale));
        scales[block] = ggml_fp16_to_fp32(scale);
        std::memcpy(weights + block * BLOCK, blocks + sizeof(scale), BLOCK);
    }
}

void Shortlist::forget_matrices() {
    down_ = {};
    up_ = {};
}

void Shortlist::choose(const float* estimates, std::vector<int32_t>& entries) const {
    entries.clear();
    std::array<float, GROUPS> greatest{};
    find_greatest(estimates, vocabulary_, greatest);
    // What ENTRIES of the groups' greatest are no less than, the ENTRIES greatest of all are no less than either.
    const float least = nearly_greatest(greatest, ENTRIES);
    for (size_t group = 0; group < GROUPS; ++group) {
        if (!(greatest[group] >= least)) continue;
        for (size_t entry = group; entry < vocabulary_; entry += GROUPS) {
            if (estimates[entry] >= least) entries.push_back(static_cast<int32_t>(entry));
        }
    }
    if (entries.empty()) entries.push_back(0);
    if (entries.size() <= ENTRIES) return;
    std::nth_element(entries.begin(), entries.begin() + ENTRIES - 1, entries.end(),
                     [&](int32_t a, int32_t b) { return estimates[a] > estimates[b]; });
    entries.resize(ENTRIES);
}

Shortlist::Slot Shortlist::make_slot() const {
    Slot slot;
    slot.entries.reserve(vocabulary_);
    slot.logits.reserve(ENTRIES);
    slot.rounded.resize(width_);
    return slot;
}

void Shortlist::score(const float* hidden, const float* estimates, Slot& slot) const {
    choose(estimates, slot.entries);
    const auto row = [this, &slot](size_t i) {
        return reinterpret_cast<const char*>(rows_.data() + static_cast<size_t>(slot.entries[i]) * row_lines_);
    };
    for (size_t i = 0; i < std::min(FETCHED_AHEAD, slot.entries.size()); ++i)
        fetch(row(i), row_lines_);
    const float scale = round_state(hidden, slot.rounded);
    slot.logits.clear();
    for (size_t i = 0; i < slot.entries.size(); ++i) {
        if (i + FETCHED_AHEAD < slot.entries.size()) fetch(row(i + FETCHED_AHEAD), row_lines_);
        const char* const weights = row(i);
        const float sum = multiply_row(reinterpret_cast<const int8_t*>(weights),
                                       reinterpret_cast<const float*>(weights + width_), slot.rounded.data(), width_);
        slot.logits.push_back(sum * scale);
    }
}

} // namespace specdiff

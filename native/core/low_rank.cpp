#include "low_rank.h"

#include <ggml.h>

#include <cmath>
#include <cstdint>
#include <string>

namespace specdiff {

namespace {

/** Stored as the bits of 16-bit floats; empty where one is no number. */
std::vector<float> halves(const GgufFile& file, const std::string& key) {
    std::vector<float> values;
    for (const auto bits : file.integers(key).value_or(std::vector<int64_t>())) {
        if (bits < 0 || bits > UINT16_MAX) return {};
        values.push_back(ggml_fp16_to_fp32(static_cast<ggml_fp16_t>(bits)));
        if (!std::isfinite(values.back())) return {};
    }
    return values;
}

} // namespace

std::optional<LowRank> low_rank(const GgufFile& drafter, int width) {
    LowRank found;
    found.down = halves(drafter, "specdiff.shortlist.down");
    found.spread = halves(drafter, "specdiff.shortlist.spread");
    const auto columns = static_cast<size_t>(width);
    const size_t rank = found.down.size() / columns;
    if (rank == 0 || rank > columns || rank % LowRank::BLOCK != 0 || columns % LowRank::BLOCK != 0 ||
        found.down.size() != rank * columns || found.spread.size() != rank * columns)
        return std::nullopt;
    found.rank = static_cast<int>(rank);
    return found;
}

} // namespace specdiff

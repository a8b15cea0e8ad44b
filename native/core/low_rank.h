#pragma once

#include "gguf_file.h"

#include <cstddef>
#include <optional>
#include <vector>

namespace specdiff {

/**
 * Where the hidden states lie that a drafter's head meets, as training has seen them: W · h is nearly
 * (W · spread) · (down · h), which takes a third of the memory and tells which entries are worth W's own rows.
 */
struct LowRank {
    /** Rank and width are multiples of it: what becomes of the factors is kept in blocks of so many numbers. */
    static constexpr size_t BLOCK = 32;
    int rank = 0;
    /** [rank, width]. */
    std::vector<float> down;
    /** [width, rank]. */
    std::vector<float> spread;
};

/** Nothing where the file has none, or none that fits heads of this width; or what is there are no numbers. */
std::optional<LowRank> low_rank(const GgufFile& drafter, int width);

} // namespace specdiff

#pragma once

#include "../core/engine.h"

#include <cstdint>
#include <vector>

namespace specdiff::test {

struct TreeBits {
    int rows = 0;
    int different = 0;
    /** Difference of two logits. */
    double greatest = 0;
    int dead_cells = 0;
};

/**
 * Verifies random trees, and chains between them, after the prompt and commits a random path of each; now and then the
 * text goes on from a part of itself, as the next prompt does. Rows that were kept are compared bit for bit with the
 * same text evaluated row by row.
 */
TreeBits tree_bits(Engine& engine, const std::vector<int32_t>& prompt, int passes, uint64_t seed);

} // namespace specdiff::test

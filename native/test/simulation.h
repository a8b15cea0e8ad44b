#pragma once

#include "../core/verifier.h"

#include <cstdint>
#include <vector>

namespace specdiff::test {

/**
 * A language given by tables over a small vocabulary V. Contexts of up to `length` − 1 tokens are numbered by length,
 * then in base V: the empty one is 0, the one-token ones 1.. V, and so on.
 */
struct Language {
    int vocabulary = 0;
    int length = 0;
    /** p(next | context), [contexts, V]. */
    std::vector<float> p;
    /** q(next | context) of the drafter, like p; empty for point masses. */
    std::vector<float> q;
    /** The point mass of each context, [contexts]; used where q is empty. */
    std::vector<int32_t> guesses;
};

/** How often each sequence of `length` tokens, in base V, came out of `samples` runs that draft `draft_length` a pass.
 */
std::vector<uint32_t> simulate(const Language& language, int draft_length, const AcceptanceRule& rule, int samples,
                               uint64_t seed);

} // namespace specdiff::test

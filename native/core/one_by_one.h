#pragma once

#include "drafter.h"

#include <cstdint>
#include <functional>
#include <vector>

namespace specdiff {

/** What an autoregressive drafter says of the token behind its draft so far. */
struct NextToken {
    /** Its likeliest token, and the class of how sure it is (outlook::of_slot). */
    int32_t best = 0;
    int outlook = 0;
    /** Its distribution over the target's vocabulary [V], at the job's temperature. */
    std::function<std::vector<float>()> distribution;
};

/** Asks the drafter about the token behind the draft so far, which takes a pass of it. @throws Cancelled, Error. */
using AskNext = std::function<NextToken(const Tree&)>;

/**
 * A chain of at most `most` tokens, each drafted behind those before it: the likeliest ones, or in jobs that draw their
 * drafts drawn ones. Ends where the judge finds that the next token is not worth its row, or its pass.
 * @throws Cancelled, Error.
 */
Draft one_by_one(const AskNext& next, int most, const DraftContext& context, const Judge* judge);

} // namespace specdiff

#pragma once

#include "acceptance.h"

namespace specdiff {

/**
 * Token-level rejection sampling (Leviathan et al., arXiv 2211.17192, Algorithm 1): x is accepted with probability
 * min(1, p(x)/q(x)), else p becomes norm(max(p − q, 0)). Siblings are tested one after the other against what is left
 * (SpecInfer, arXiv 2305.09781, Algorithm 2). With q a point mass that is: accept with p(x), else p without x. One
 * uniform number a tested node and one for the token after the last.
 */
Outcome accept_tokens(const Tree& tree, TargetRows& rows, Rng& rng);

} // namespace specdiff

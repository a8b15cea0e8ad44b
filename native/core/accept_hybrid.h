#pragma once

#include "acceptance.h"

namespace specdiff {

/**
 * For drafts of several denoising steps: positions revealed in the last step, independent given the others, are dense
 * nodes and get rejection sampling; positions revealed before, and whatever else was not drawn, are point masses and
 * get the match test: the target's token is drawn from what the rejections left of p and compared with them.
 */
Outcome accept_hybrid(const Tree& tree, TargetRows& rows, Rng& rng);

} // namespace specdiff

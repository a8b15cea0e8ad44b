#pragma once

#include "acceptance.h"

namespace specdiff {

/**
 * Block verification (Sun et al., arXiv 2403.10444, Algorithm 2): a chain is judged as a whole, accepts in expectation
 * at least as many tokens as token-level rejection sampling, and never in another distribution. On a tree the chain of
 * first children is judged so; the token drawn after its accepted part may match another child, whose chain is judged
 * next. Needs p of all rows of a chain that is likely to be accepted. One uniform number a node and one for each token
 * drawn.
 */
Outcome accept_block(const Tree& tree, TargetRows& rows, Rng& rng);

} // namespace specdiff

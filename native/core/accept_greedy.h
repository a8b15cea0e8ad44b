#pragma once

#include "acceptance.h"

namespace specdiff {

/** Greedy: a node is accepted when it is the target's own choice after its parent. Draws nothing. */
Outcome accept_greedy(const Tree& tree, TargetRows& rows, Rng& rng);

} // namespace specdiff

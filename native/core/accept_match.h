#pragma once

#include "acceptance.h"

namespace specdiff {

/**
 * Sample-and-match: the target's token is drawn from p as in plain decoding, and the walk goes on where a child holds
 * it (llama.cpp's rule; on trees that of SpecInfer's naive sampling, arXiv 2305.09781, and of DDTree). Looks at no q.
 * One uniform number a row.
 */
Outcome accept_match(const Tree& tree, TargetRows& rows, Rng& rng);

} // namespace specdiff

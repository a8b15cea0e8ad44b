#pragma once

#include "lookup.h"
#include "tree_growth.h"

#include <vector>

namespace specdiff {

/**
 * Looked-up continuations of `depth` tokens as branches of a tree: what followed the longest match, and what followed
 * the newest match of a shorter suffix that goes on otherwise. At most `most`, the longest match first.
 */
std::vector<std::vector<Guess>> lookup_branches(const Lookup& lookup, const Lookup::Match& match, int depth, int most);

} // namespace specdiff

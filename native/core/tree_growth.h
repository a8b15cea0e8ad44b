#pragma once

#include "drafter.h"

#include <cstdint>
#include <functional>
#include <vector>

namespace specdiff {

/** A token that may come next. */
struct Guess {
    int32_t token = 0;
    /** That the target emits it where all before it is right. */
    double chance = 0;
    /** What that was judged by. */
    Slot slot;
    /** A text or a phrase says so too. */
    bool looked_up = false;
};

/**
 * What may come after a path of drafted tokens, likeliest first. None of it may depend on drawn tokens: a grown tree's
 * nodes are point masses.
 */
using Continuations = std::function<std::vector<Guess>(const std::vector<int32_t>& path)>;

/** A tree in the order in which it grew. */
struct Growth {
    std::vector<Node> nodes;
    /** ρ of each node: the chance that its whole path is emitted. Never grows. */
    std::vector<double> chances;
    std::vector<Slot> judged;
};

/**
 * Best-first growth by path probability (DDTree's heap: next sibling and first child of what was taken) to at most
 * `nodes` nodes of at most `depth` tokens.
 */
Growth grow(const Continuations& after, int depth, int nodes);

/** The first `nodes` nodes of a growth, likelier children first, each path's likeliest continuation right behind it. */
Draft draft_of(const Growth& growth, int nodes);

/** The tree of what may come, of as many nodes as the judge finds worth their rows, or as the budget has. */
Draft grown_draft(const Continuations& after, const Budget& budget);

} // namespace specdiff

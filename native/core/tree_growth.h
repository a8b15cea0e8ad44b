#pragma once

#include "tree.h"

#include <cstdint>
#include <functional>
#include <vector>

namespace specdiff {

/** A token that may come next, and the chance that the target emits it where all before it is right. */
struct Guess {
    int32_t token = 0;
    double chance = 0;
};

/** What is known about the next tokens. None of it may have been drawn: a grown tree's nodes are point masses. */
struct Guesses {
    /** Each place by itself, likeliest first (the marginals of a block drafter's slots). */
    std::vector<std::vector<Guess>> slots;
    /** Whole continuations, token by token (looked up). */
    std::vector<std::vector<Guess>> branches;
};

/** A tree in the order in which it grew. */
struct Growth {
    std::vector<Node> nodes;
    /** ρ of each node: the chance that its whole path is emitted. Never grows. */
    std::vector<double> chances;
};

/**
 * Best-first growth by path probability (DDTree's heap: next sibling and first child of what was taken) to at most
 * `nodes` nodes of at most `depth` tokens. Branches start at the root, below every node the slots go on, and a token
 * that two sources give at one place is one node.
 */
Growth grow(const Guesses& guesses, int depth, int nodes);

/** The first `nodes` nodes of a growth, likelier children first, each path's likeliest continuation right behind it. */
Tree tree_of(const Growth& growth, int nodes);

/**
 * How many of the nodes to verify: as long as ρ·T > E·ΔT, that is while the expected tokens a millisecond
 * (1 + Σρ) ÷ (draft_ms + pass_ms(n + 1)) grow (BASTION, arXiv 2605.29727; CaDDTree, arXiv 2606.01813). Pass times go in
 * steps, so every n is looked at. 0: a pass without a draft, that costs pass_ms(1), is better than any.
 * @param chances ρ of the nodes, greatest first. @param pass_ms time of a target pass by its rows.
 */
int nodes_that_pay(const std::vector<double>& chances, const std::function<double(int)>& pass_ms, double draft_ms);

} // namespace specdiff

#pragma once

#include "rng.h"
#include "tree.h"

#include <cstdint>
#include <functional>
#include <vector>

namespace specdiff {

/** The target's answer for one pass: row ROOT follows the root, row i follows node i. */
class TargetRows {
  public:
    TargetRows() = default;
    virtual ~TargetRows() = default;
    TargetRows(const TargetRows&) = delete;
    TargetRows& operator=(const TargetRows&) = delete;

    /** Greedy choice after `path`, the drafted tokens accepted so far (penalties depend on them). */
    virtual int32_t best(int row, const std::vector<int32_t>& path) = 0;
    /** p [V] after `path`; valid until the next call. */
    virtual const std::vector<float>& probabilities(int row, const std::vector<int32_t>& path) = 0;
};

/** What one verification decided. */
struct Outcome {
    /** Accepted nodes, from the root on. */
    std::vector<int> path;
    /** The target's own token after them: a correction, or a bonus where the whole draft was accepted. */
    int32_t next = 0;
};

/** Turns a draft and the target's rows into emitted tokens; exact rules keep the target's distribution. */
using AcceptanceRule = std::function<Outcome(const Tree&, TargetRows&, Rng&)>;

/** Greedy: a node is accepted when it is the target's own choice. Draws nothing. @throws Error for trees that are no
 * chains. */
Outcome accept_greedy(const Tree& tree, TargetRows& rows, Rng& rng);

/**
 * Speculative sampling on a chain (Leviathan et al. 2023, arXiv 2211.17192, Algorithm 1): x is accepted with
 * probability min(1, p(x)/q(x)); a rejected one is replaced by a draw from norm(max(p − q, 0)). With q a point mass
 * that is: accept with p(x), else draw from p without x. Draws one uniform number a tested node and one for the token
 * after the last.
 * @throws Error for trees that are no chains.
 */
Outcome accept_sampled(const Tree& tree, TargetRows& rows, Rng& rng);

} // namespace specdiff

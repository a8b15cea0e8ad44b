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
    /** The target's own token after them: a correction, or a bonus where the path ends at a leaf. */
    int32_t next = 0;
};

/** Turns a draft, chain or tree, and the target's rows into emitted tokens; exact rules keep the target's distribution
 * (docs/exactness.md). */
using AcceptanceRule = std::function<Outcome(const Tree&, TargetRows&, Rng&)>;

/** An outcome while it is found: where the walk stands and the tokens that led there. */
class Walk {
  public:
    explicit Walk(const Tree& tree) : tree_(tree) {}

    /** ROOT, or the last accepted node. */
    int node() const { return node_; }
    const std::vector<int32_t>& tokens() const { return tokens_; }
    void accept(int node) {
        node_ = node;
        outcome_.path.push_back(node);
        tokens_.push_back(tree_.at(node).token);
    }
    /** The child of where the walk stands that holds `token`, among those from `child` on; NO_NODE where none does. */
    int match(int32_t token, int child) const {
        while (child != NO_NODE && tree_.at(child).token != token)
            child = tree_.next_sibling(child);
        return child;
    }
    Outcome end(int32_t next) {
        outcome_.next = next;
        return std::move(outcome_);
    }

  private:
    const Tree& tree_;
    int node_ = ROOT;
    std::vector<int32_t> tokens_;
    Outcome outcome_;
};

} // namespace specdiff

#include "broken_rules.h"

#include "../core/error.h"
#include "../core/sampler.h"

#include <algorithm>
#include <vector>

namespace specdiff::test {

namespace {

/** After a rejection the token is drawn from p itself, so that the draft's token comes too often. */
Outcome residual_forgotten(const Tree& tree, TargetRows& rows, Rng& rng) {
    Outcome outcome;
    std::vector<int32_t> path;
    int row = ROOT;
    for (int i = 0; i < static_cast<int>(tree.size()); ++i) {
        const Node& node = tree.nodes[static_cast<size_t>(i)];
        const auto token = static_cast<size_t>(node.token);
        const auto& p = rows.probabilities(row, path);
        const double q = node.q == POINT_MASS ? 1.0 : tree.q[static_cast<size_t>(node.q)][token];
        if (rng.uniform() * q >= p[token]) break;
        outcome.path.push_back(i);
        path.push_back(node.token);
        row = i;
    }
    outcome.next = draw(rows.probabilities(row, path), rng);
    return outcome;
}

/** A sampled draft is accepted with p(x) alone, as if it had been certain, yet replaced from norm(max(p − q, 0)). */
Outcome q_missing_in_test(const Tree& tree, TargetRows& rows, Rng& rng) {
    Outcome outcome;
    std::vector<int32_t> path;
    int row = ROOT;
    for (int i = 0; i < static_cast<int>(tree.size()); ++i) {
        const Node& node = tree.nodes[static_cast<size_t>(i)];
        std::vector<float> p = rows.probabilities(row, path);
        if (rng.uniform() >= p[static_cast<size_t>(node.token)]) {
            for (size_t token = 0; token < p.size() && node.q != POINT_MASS; ++token) {
                p[token] = std::max(p[token] - tree.q[static_cast<size_t>(node.q)][token], 0.0F);
            }
            outcome.next = draw(p, rng);
            return outcome;
        }
        outcome.path.push_back(i);
        path.push_back(node.token);
        row = i;
    }
    outcome.next = draw(rows.probabilities(row, path), rng);
    return outcome;
}

/** The token after an accepted draft is drawn from the row before it. */
Outcome stale_row(const Tree& tree, TargetRows& rows, Rng& rng) {
    Outcome outcome = accept_sampled(tree, rows, rng);
    if (!outcome.path.empty() && outcome.path.size() == tree.size()) {
        std::vector<int32_t> path;
        for (size_t i = 0; i + 1 < outcome.path.size(); ++i)
            path.push_back(tree.nodes[i].token);
        outcome.next = draw(rows.probabilities(static_cast<int>(tree.size()) - 2, path), rng);
    }
    return outcome;
}

} // namespace

AcceptanceRule rule_named(const std::string& name) {
    if (name == "exact") return accept_sampled;
    if (name == "greedy") return accept_greedy;
    if (name == "residualForgotten") return residual_forgotten;
    if (name == "qMissingInTest") return q_missing_in_test;
    if (name == "staleRow") return stale_row;
    throw Error("Unknown acceptance rule " + name + ".");
}

} // namespace specdiff::test

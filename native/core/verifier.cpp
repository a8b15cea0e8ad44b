#include "verifier.h"

#include "error.h"
#include "sampler.h"

#include <algorithm>

namespace specdiff {

namespace {

void require_chain(const Tree& tree) {
    if (!tree.is_chain()) throw Error("Only chains can be verified yet: use a drafter that proposes one.");
}

/** norm(max(p − q, 0)) up to its norm; p itself where rounding leaves nothing. */
std::vector<float> residual(const std::vector<float>& p, const Tree& tree, const Node& node) {
    std::vector<float> rest = p;
    if (node.q == POINT_MASS) {
        rest[static_cast<size_t>(node.token)] = 0;
    } else {
        const auto& q = tree.q[static_cast<size_t>(node.q)];
        for (size_t i = 0; i < rest.size(); ++i)
            rest[i] = std::max(rest[i] - q[i], 0.0F);
    }
    const bool empty = std::none_of(rest.begin(), rest.end(), [](float value) { return value > 0; });
    return empty ? p : rest;
}

} // namespace

Outcome accept_greedy(const Tree& tree, TargetRows& rows, Rng& /*rng*/) {
    require_chain(tree);
    Outcome outcome;
    std::vector<int32_t> path;
    outcome.next = rows.best(ROOT, path);
    for (int i = 0; i < static_cast<int>(tree.size()); ++i) {
        const auto token = tree.nodes[static_cast<size_t>(i)].token;
        if (token != outcome.next) break;
        outcome.path.push_back(i);
        path.push_back(token);
        outcome.next = rows.best(i, path);
    }
    return outcome;
}

Outcome accept_sampled(const Tree& tree, TargetRows& rows, Rng& rng) {
    require_chain(tree);
    Outcome outcome;
    std::vector<int32_t> path;
    int row = ROOT;
    for (int i = 0; i < static_cast<int>(tree.size()); ++i) {
        const Node& node = tree.nodes[static_cast<size_t>(i)];
        const auto token = static_cast<size_t>(node.token);
        const auto& p = rows.probabilities(row, path);
        const double q = node.q == POINT_MASS ? 1.0 : tree.q[static_cast<size_t>(node.q)][token];
        if (rng.uniform() * q >= p[token]) {
            outcome.next = draw(residual(p, tree, node), rng);
            return outcome;
        }
        outcome.path.push_back(i);
        path.push_back(node.token);
        row = i;
    }
    outcome.next = draw(rows.probabilities(row, path), rng);
    return outcome;
}

} // namespace specdiff

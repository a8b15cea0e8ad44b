#include "broken_rules.h"

#include "../core/accept_greedy.h"
#include "../core/accept_tokens.h"
#include "../core/residual.h"
#include "../core/sampler.h"
#include "../core/verifier.h"

#include <algorithm>
#include <vector>

namespace specdiff::test {

namespace {

double q_of(const Tree& tree, int node) {
    const auto* row = tree.row_of(node);
    return row == nullptr ? 1.0 : (*row)[static_cast<size_t>(tree.at(node).token)];
}

/** After rejections the token is drawn from p itself, and siblings are tested against it. */
Outcome residual_forgotten(const Tree& tree, TargetRows& rows, Rng& rng) {
    Walk walk(tree);
    while (true) {
        const Residual all(rows.probabilities(walk.node(), walk.tokens()));
        int child = tree.first_child(walk.node());
        while (child != NO_NODE && !all.accepts(tree, child, rng))
            child = tree.next_sibling(child);
        if (child == NO_NODE) return walk.end(all.draw(rng));
        walk.accept(child);
    }
}

/** A drawn token is accepted with p(x) alone, as if it had been certain, yet replaced from norm(max(p − q, 0)). */
Outcome q_missing_in_test(const Tree& tree, TargetRows& rows, Rng& rng) {
    Walk walk(tree);
    while (true) {
        const auto& p = rows.probabilities(walk.node(), walk.tokens());
        const int child = tree.first_child(walk.node());
        if (child == NO_NODE) return walk.end(draw(p, rng));
        if (rng.uniform() >= p[static_cast<size_t>(tree.at(child).token)])
            return walk.end(draw(excess(p, 1, tree, child), rng));
        walk.accept(child);
    }
}

/** The token after an accepted draft is drawn from the row before it. */
Outcome stale_row(const Tree& tree, TargetRows& rows, Rng& rng) {
    Outcome outcome = accept_tokens(tree, rows, rng);
    if (!outcome.path.empty() && tree.first_child(outcome.path.back()) == NO_NODE) {
        std::vector<int32_t> path;
        for (size_t i = 0; i + 1 < outcome.path.size(); ++i)
            path.push_back(tree.at(outcome.path[i]).token);
        outcome.next = draw(rows.probabilities(tree.at(outcome.path.back()).parent, path), rng);
    }
    return outcome;
}

/** Sample and match; what does not match gets a second chance with min(1, p/q), and no residual. */
Outcome second_chance(const Tree& tree, TargetRows& rows, Rng& rng) {
    Walk walk(tree);
    while (true) {
        const auto& p = rows.probabilities(walk.node(), walk.tokens());
        const auto token = draw(p, rng);
        const int first = tree.first_child(walk.node());
        int child = walk.match(token, first);
        if (child == NO_NODE && first != NO_NODE) {
            const double chance = p[static_cast<size_t>(tree.at(first).token)] / q_of(tree, first);
            if (rng.uniform() < chance) child = first;
        }
        if (child == NO_NODE) return walk.end(token);
        walk.accept(child);
    }
}

/** The hybrid rule, but whatever is not accepted is replaced by a fresh draw from p. */
Outcome drawn_again(const Tree& tree, TargetRows& rows, Rng& rng) {
    Outcome outcome = sampled_rule(RuleChoice::hybrid)(tree, rows, rng);
    const int last = outcome.path.empty() ? ROOT : outcome.path.back();
    if (tree.first_child(last) == NO_NODE) return outcome;
    std::vector<int32_t> path;
    path.reserve(outcome.path.size());
    for (const int node : outcome.path)
        path.push_back(tree.at(node).token);
    outcome.next = draw(rows.probabilities(last, path), rng);
    return outcome;
}

/** Block verification that ends with the first prefix that is not accepted, where a later one might be. */
Outcome block_stops_early(const Tree& tree, TargetRows& rows, Rng& rng) {
    Walk walk(tree);
    double weight = 1;
    while (true) {
        const auto& p = rows.probabilities(walk.node(), walk.tokens());
        const int child = tree.first_child(walk.node());
        if (child == NO_NODE) return walk.end(draw(p, rng));
        const double after = std::min(1.0, weight * p[static_cast<size_t>(tree.at(child).token)] / q_of(tree, child));
        double chance = after;
        const int next = tree.first_child(child);
        if (next != NO_NODE) {
            auto tokens = walk.tokens();
            tokens.push_back(tree.at(child).token);
            double mass = 0;
            for (const float value : excess(rows.probabilities(child, tokens), after, tree, next))
                mass += value;
            chance = mass / (mass + 1 - after);
        }
        if (rng.uniform() >= chance) {
            const auto& before = rows.probabilities(walk.node(), walk.tokens());
            return walk.end(draw(excess(before, weight, tree, child), rng));
        }
        weight = after;
        walk.accept(child);
    }
}

} // namespace

AcceptanceRule rule_named(const std::string& name) {
    if (name == "greedy") return accept_greedy;
    if (name == "residualForgotten") return residual_forgotten;
    if (name == "qMissingInTest") return q_missing_in_test;
    if (name == "staleRow") return stale_row;
    if (name == "secondChance") return second_chance;
    if (name == "drawnAgain") return drawn_again;
    if (name == "blockStopsEarly") return block_stops_early;
    return sampled_rule(rule_choice(name));
}

} // namespace specdiff::test

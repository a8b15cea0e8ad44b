#include "accept_block.h"

#include "residual.h"
#include "sampler.h"
#include "sums.h"

#include <algorithm>

namespace specdiff {

namespace {

/**
 * Where w falls below this the chain is judged up to there, and the rest by itself if all of that is accepted: whether
 * it ends depends on no later token, so this is exact too, and rows that hardly count are not asked for. (1 would be
 * token-level rejection.)
 */
constexpr double LEAST_WEIGHT = 0.1;

/** A prefix of the chain: its nodes and w, the chance that at least they are accepted, given the prefix. */
struct Prefix {
    size_t length = 0;
    double weight = 1;
};

/** Σ max(w·p − q, 0). */
double excess_mass(const std::vector<float>& p, double weight, const Tree& tree, int node) {
    const auto* row = tree.row_of(node);
    if (row == nullptr) {
        const double total = sum_of(p.data(), static_cast<int>(p.size()));
        return weight * (total - p[static_cast<size_t>(tree.at(node).token)]);
    }
    double sum = 0;
    for (size_t i = 0; i < p.size(); ++i)
        sum += std::max(weight * p[i] - (*row)[i], 0.0);
    return sum;
}

std::vector<int> chain_from(const Tree& tree, int node) {
    std::vector<int> chain;
    for (int child = tree.first_child(node); child != NO_NODE; child = tree.first_child(child))
        chain.push_back(child);
    return chain;
}

/** The longest prefix of the chain that its own test accepts; the chain is cut where it is not judged further. */
Prefix judge(const Tree& tree, std::vector<int>& chain, const Walk& walk, TargetRows& rows, Rng& rng) {
    Prefix accepted;
    std::vector<int32_t> tokens = walk.tokens();
    int row = walk.node();
    double weight = 1;
    for (size_t length = 0; length < chain.size(); ++length) {
        const int node = chain[length];
        const auto& p = rows.probabilities(row, tokens);
        if (length > 0) {
            const double mass = excess_mass(p, weight, tree, node);
            // 0 of 0: p and q agree, so that no later prefix can fail where this one holds.
            const double rest = mass + 1 - weight;
            if (rest <= 0 || rng.uniform() * rest < mass) accepted = {length, weight};
        }
        const auto token = static_cast<size_t>(tree.at(node).token);
        const auto* q = tree.row_of(node);
        weight = std::min(1.0, weight * p[token] / (q == nullptr ? 1.0 : (*q)[token]));
        tokens.push_back(tree.at(node).token);
        row = node;
        if (weight < LEAST_WEIGHT) chain.resize(length + 1);
    }
    if (!chain.empty() && rng.uniform() < weight) accepted = {chain.size(), weight};
    return accepted;
}

} // namespace

Outcome accept_block(const Tree& tree, TargetRows& rows, Rng& rng) {
    Walk walk(tree);
    while (true) {
        auto chain = chain_from(tree, walk.node());
        const auto accepted = judge(tree, chain, walk, rows, rng);
        for (size_t i = 0; i < accepted.length; ++i)
            walk.accept(chain[i]);
        const auto& p = rows.probabilities(walk.node(), walk.tokens());
        if (accepted.length == chain.size()) {
            if (tree.first_child(walk.node()) == NO_NODE) return walk.end(draw(p, rng));
            continue;
        }

        const int rejected = chain[accepted.length];
        const auto rest = excess(p, accepted.weight, tree, rejected);
        const bool empty = std::none_of(rest.begin(), rest.end(), [](float value) { return value > 0; });
        const auto token = draw(empty ? p : rest, rng);
        const int child = walk.match(token, tree.next_sibling(rejected));
        if (child == NO_NODE) return walk.end(token);
        walk.accept(child);
    }
}

} // namespace specdiff

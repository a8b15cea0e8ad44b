#include "tree_bits.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace specdiff::test {

namespace {

/** Tokens of a chain, and rows that its pass may be filled up by. */
constexpr int CHAIN = 5;
constexpr int MOST_FILLED = 12;

int below(Rng& rng, int count) {
    return static_cast<int>(rng.uniform() * count);
}

/** Every node's parent is any earlier node, so that branches interleave in the cache. */
Tree random_tree(int nodes, int vocabulary, Rng& rng) {
    Tree tree;
    for (int i = 0; i < nodes; ++i)
        tree.nodes.push_back({below(rng, vocabulary), below(rng, i + 1) - 1, POINT_MASS});
    return tree;
}

Tree random_chain(int vocabulary, Rng& rng) {
    Tree tree;
    for (int i = 0; i < CHAIN; ++i)
        tree.append(below(rng, vocabulary));
    return tree;
}

/** From the root to a random node; some end at once. */
std::vector<int> random_path(const Tree& tree, Rng& rng) {
    std::vector<int> path;
    for (int node = below(rng, static_cast<int>(tree.size()) + 1) - 1; node != ROOT; node = tree.at(node).parent)
        path.insert(path.begin(), node);
    return path;
}

} // namespace

TreeBits tree_bits(Engine& engine, const std::vector<int32_t>& prompt, int passes, uint64_t seed) {
    auto& target = engine.target_model();
    const int vocabulary = engine.vocabulary().size();
    const auto size = static_cast<size_t>(vocabulary);
    const auto evaluate = [&](const std::vector<int32_t>& tokens) {
        return target.prefill(tokens, std::numeric_limits<int>::max(), [](int) {}, [](const TapRows&) {});
    };
    Rng rng(seed);
    TreeBits result;
    std::vector<int32_t> text = prompt;
    std::vector<std::vector<float>> kept;
    target.forget();
    evaluate(prompt);
    for (int pass = 0; pass < passes; ++pass) {
        const bool chain = pass % 3 == 2;
        const Tree tree = chain ? random_chain(vocabulary, rng) : random_tree(target.tree_nodes(), vocabulary, rng);
        const auto path = random_path(tree, rng);
        const int32_t root = below(rng, vocabulary);
        if (target.cached_tokens() + static_cast<int>(tree.size()) >= target.context_tokens()) break;
        const int filled = chain ? CHAIN + 1 + below(rng, MOST_FILLED + 1) : 0;
        const auto& rows = target.verify(root, tree, Want::logits, filled);
        kept.emplace_back(rows.logits[0], rows.logits[0] + size);
        text.push_back(root);
        for (const int node : path) {
            const float* logits = rows.logits[static_cast<size_t>(node) + 1];
            kept.emplace_back(logits, logits + size);
            text.push_back(tree.at(node).token);
        }
        target.commit(path);
        result.dead_cells = std::max(result.dead_cells, target.dead_cells());
        if (pass % 8 == 7 && 3 * pass < passes) { // the next prompt keeps a part of the text
            const auto length = text.size() - static_cast<size_t>(below(rng, static_cast<int>(kept.size()) / 3 + 1));
            text.resize(length);
            kept.resize(length - prompt.size());
            evaluate(text);
        }
    }
    target.forget();
    evaluate(prompt);
    for (size_t i = prompt.size(); i < text.size(); ++i) {
        const float* plain = target.verify(text[i], Tree(), Want::logits).logits.front();
        const auto& row = kept[i - prompt.size()];
        ++result.rows;
        result.different += std::memcmp(row.data(), plain, size * sizeof(float)) == 0 ? 0 : 1;
        for (size_t token = 0; token < size; ++token)
            result.greatest = std::max(result.greatest, std::abs(static_cast<double>(row[token]) - plain[token]));
        target.commit({});
    }
    target.forget();
    return result;
}

} // namespace specdiff::test

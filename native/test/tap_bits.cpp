#include "tap_bits.h"

#include "../core/rng.h"
#include "../core/target.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>

namespace specdiff::test {

namespace {

constexpr int TREE_NODES = 6;
/** Of the longest chain. */
constexpr int MOST_NODES = 40;

struct Trace {
    size_t vocabulary = 0;
    size_t width = 0;
    int layers = 0;
    bool keeps_graphs = false;
    std::vector<float> logits;
    std::vector<float> taps;

    void add(const TapRows& rows) {
        for (const float* tap : rows.taps)
            taps.insert(taps.end(), tap, tap + static_cast<size_t>(rows.count) * width);
    }
    void add_logits(const float* row) { logits.insert(logits.end(), row, row + vocabulary); }
};

/** A tree with a branch at the root and one below, or a chain of the same tokens. */
Tree draft(const std::vector<int>& parents, int vocabulary, Rng& rng) {
    Tree tree;
    tree.nodes.reserve(parents.size());
    for (const int parent : parents)
        tree.nodes.push_back({static_cast<int32_t>(rng.uniform() * vocabulary), parent, POINT_MASS});
    return tree;
}

Trace trace(const Model& model, ThreadPool& threads, const TargetOptions& options, int prompt_tokens) {
    Target target(model, threads, options);
    const int vocabulary = target.vocabulary().size();
    Trace result;
    result.vocabulary = static_cast<size_t>(vocabulary);
    result.width = static_cast<size_t>(model.width());
    result.layers = static_cast<int>(target.taps().size());
    result.keeps_graphs = target.keeps_graphs();
    Rng rng(1);
    std::vector<int32_t> text;
    text.reserve(static_cast<size_t>(prompt_tokens));
    for (int i = 0; i < prompt_tokens; ++i)
        text.push_back(static_cast<int32_t>(rng.uniform() * vocabulary));
    const std::vector<int32_t> beginning(text.begin(), text.begin() + prompt_tokens / 3);
    const auto evaluate = [&](const std::vector<int32_t>& tokens) {
        const auto prefill = target.prefill(
            tokens, std::numeric_limits<int>::max(), [](int) {}, [&](const TapRows& rows) { result.add(rows); });
        result.add_logits(prefill.logits);
    };
    const auto pass = [&](const std::vector<int>& parents, const std::vector<int>& path) {
        const auto tree = draft(parents, vocabulary, rng);
        const auto& rows = target.verify(static_cast<int32_t>(rng.uniform() * vocabulary), tree, Want::logits);
        for (const float* row : rows.logits)
            result.add_logits(row);
        result.add(target.commit(path));
    };
    evaluate(beginning);
    pass({}, {});
    evaluate(text);
    for (int i = 0; i < 2; ++i) {
        pass({}, {});
        pass({-1, 0, 1, 2, 3, 4, 5}, {0, 1, 2});
        pass({-1, -1, 0, 1, 1, 4}, {1, 4, 5});
        pass({-1, 0, 1}, {});
        pass({-1, 0, 1}, {0, 1, 2});
    }
    // More numbers of rows than graphs are kept of, and the first ones again.
    for (const int step : {2, 5}) {
        for (int nodes = step; nodes <= MOST_NODES; nodes += step) {
            std::vector<int> parents(static_cast<size_t>(nodes));
            std::iota(parents.begin(), parents.end(), ROOT);
            pass(parents, {});
        }
    }
    return result;
}

/** Rows of `width` that differ, out of those that either has. */
int different(const std::vector<float>& left, const std::vector<float>& right, size_t width) {
    if (left.size() != right.size()) return static_cast<int>(std::max(left.size(), right.size()) / width);
    int count = 0;
    for (size_t start = 0; start < left.size(); start += width)
        count += std::memcmp(left.data() + start, right.data() + start, width * sizeof(float)) == 0 ? 0 : 1;
    return count;
}

} // namespace

TapBits tap_bits(const Model& model, ThreadPool& threads, const std::vector<int32_t>& taps, int prompt_tokens,
                 int context_tokens) {
    TargetOptions options;
    options.context_tokens = context_tokens;
    options.tree_nodes = TREE_NODES;
    const auto plain = trace(model, threads, options, prompt_tokens);
    options.taps = taps;
    std::vector<Trace> others = {trace(model, threads, options, prompt_tokens)};
    options.runner = RunnerChoice::llama;
    for (const auto way : {LayerInputs::Way::automatic, LayerInputs::Way::nodes}) {
        options.taps_way = way;
        others.push_back(trace(model, threads, options, prompt_tokens));
    }
    const auto& nodes = others.back();
    TapBits result;
    result.keeps_graphs = plain.keeps_graphs && others.front().keeps_graphs;
    result.layers = nodes.layers;
    result.rows = static_cast<int>(plain.logits.size() / plain.vocabulary);
    result.tap_rows = static_cast<int>(nodes.taps.size() / nodes.width);
    for (const auto& other : others) {
        result.different_logits += different(plain.logits, other.logits, plain.vocabulary);
        result.different_taps += different(other.taps, nodes.taps, nodes.width);
    }
    return result;
}

} // namespace specdiff::test

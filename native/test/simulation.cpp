#include "simulation.h"

#include "../core/sampler.h"

#include <algorithm>

namespace specdiff::test {

namespace {

size_t context_index(const Language& language, const std::vector<int32_t>& tokens) {
    size_t first = 0;
    size_t count = 1;
    size_t code = 0;
    for (const auto token : tokens) {
        first += count;
        count *= static_cast<size_t>(language.vocabulary);
        code = code * static_cast<size_t>(language.vocabulary) + static_cast<size_t>(token);
    }
    return first + code;
}

std::vector<float> row_of(const Language& language, const std::vector<float>& table,
                          const std::vector<int32_t>& tokens) {
    const auto width = static_cast<std::ptrdiff_t>(language.vocabulary);
    const auto start = table.begin() + static_cast<std::ptrdiff_t>(context_index(language, tokens)) * width;
    return {start, start + width};
}

class TableRows : public TargetRows {
  public:
    TableRows(const Language& language, const std::vector<int32_t>& emitted) : language_(language), emitted_(emitted) {}

    int32_t best(int /*row*/, const std::vector<int32_t>& path) override {
        const auto& p = probabilities(0, path);
        return argmax(p.data(), static_cast<int>(p.size()));
    }

    /** Uses the path alone: it names the row too. */
    const std::vector<float>& probabilities(int /*row*/, const std::vector<int32_t>& path) override {
        auto tokens = emitted_;
        tokens.insert(tokens.end(), path.begin(), path.end());
        // Past the last table the token is never looked at.
        if (static_cast<int>(tokens.size()) >= language_.length) tokens.clear();
        row_ = row_of(language_, language_.p, tokens);
        return row_;
    }

  private:
    const Language& language_;
    const std::vector<int32_t>& emitted_;
    std::vector<float> row_;
};

Tree draft(const Language& language, const std::vector<int32_t>& emitted, int length, Rng& rng) {
    Tree tree;
    auto tokens = emitted;
    for (int i = 0; i < length && static_cast<int>(tokens.size()) < language.length; ++i) {
        if (language.q.empty()) {
            tree.append(language.guesses[context_index(language, tokens)]);
        } else {
            tree.q.push_back(row_of(language, language.q, tokens));
            tree.append(draw(tree.q.back(), rng), static_cast<int>(tree.q.size()) - 1);
        }
        tokens.push_back(tree.nodes.back().token);
    }
    return tree;
}

} // namespace

std::vector<uint32_t> simulate(const Language& language, int draft_length, const AcceptanceRule& rule, int samples,
                               uint64_t seed) {
    size_t cells = 1;
    for (int i = 0; i < language.length; ++i)
        cells *= static_cast<size_t>(language.vocabulary);
    std::vector<uint32_t> counts(cells);
    Rng rng(seed);
    for (int sample = 0; sample < samples; ++sample) {
        std::vector<int32_t> emitted;
        while (static_cast<int>(emitted.size()) < language.length) {
            const Tree tree = draft(language, emitted, draft_length, rng);
            TableRows rows(language, emitted);
            const Outcome outcome = rule(tree, rows, rng);
            for (const int node : outcome.path)
                emitted.push_back(tree.nodes[static_cast<size_t>(node)].token);
            emitted.push_back(outcome.next);
        }
        size_t code = 0;
        for (int i = 0; i < language.length; ++i) {
            code =
                code * static_cast<size_t>(language.vocabulary) + static_cast<size_t>(emitted[static_cast<size_t>(i)]);
        }
        ++counts[code];
    }
    return counts;
}

} // namespace specdiff::test

#include "simulation.h"

#include "../core/error.h"
#include "../core/greatest.h"

#include <algorithm>
#include <array>
#include <numeric>

namespace specdiff::test {

namespace {

using Row = std::vector<float>;

/** A context: its number of tokens, and those in base V. */
struct Context {
    int length = 0;
    size_t code = 0;
};

/** Tables with their rows cut out, so that looking one up costs nothing. */
class Tables {
  public:
    explicit Tables(const Language& language)
        : width_(static_cast<size_t>(language.vocabulary)), length_(language.length), q_(cut(language.q)) {
        Sampler sampler(language.sampling, language.vocabulary);
        size_t count = 1;
        size_t row = 0;
        for (int length = 0; length < language.length; ++length, count *= width_) {
            firsts_.push_back(row);
            for (size_t code = 0; code < count; ++code, ++row) {
                Row p;
                sampler.probabilities(&language.logits[row * width_], tokens_of(length, code), p);
                p_.push_back(p);
            }
        }
    }

    int length() const { return length_; }
    const Row& p(const Context& context) const { return p_[index(context)]; }
    const Row& q(const Context& context) const { return q_[index(context)]; }
    const std::vector<Row>& all() const { return p_; }
    /** Some row of the q table, for marginals of places that are not next. */
    const Row& any_q(size_t number) const { return q_[number % q_.size()]; }
    Context after(const Context& context, int32_t token) const {
        return {context.length + 1, context.code * width_ + static_cast<size_t>(token)};
    }

  private:
    /** Past the last table the token is never looked at. */
    size_t index(const Context& context) const {
        return context.length >= length_ ? 0 : firsts_[static_cast<size_t>(context.length)] + context.code;
    }
    std::vector<int32_t> tokens_of(int length, size_t code) const {
        std::vector<int32_t> tokens(static_cast<size_t>(length));
        for (auto token = tokens.rbegin(); token != tokens.rend(); ++token, code /= width_)
            *token = static_cast<int32_t>(code % width_);
        return tokens;
    }
    std::vector<Row> cut(const std::vector<float>& table) const {
        std::vector<Row> rows;
        for (size_t start = 0; start < table.size(); start += width_)
            rows.emplace_back(&table[start], &table[start] + width_);
        return rows;
    }

    size_t width_;
    int length_;
    std::vector<size_t> firsts_;
    std::vector<Row> q_;
    std::vector<Row> p_;
};

class TableRows : public TargetRows {
  public:
    TableRows(const Tables& tables, const Context& emitted) : tables_(tables), emitted_(emitted) {}

    int32_t best(int row, const std::vector<int32_t>& path) override {
        const auto& p = probabilities(row, path);
        return argmax(p.data(), static_cast<int>(p.size()));
    }

    /** Uses the path alone: it names the row too. */
    const Row& probabilities(int /*row*/, const std::vector<int32_t>& path) override {
        Context context = emitted_;
        for (const auto token : path)
            context = tables_.after(context, token);
        return tables_.p(context);
    }

  private:
    const Tables& tables_;
    const Context& emitted_;
};

/** Writes one draft. */
class Draft {
  public:
    Draft(const Tables& tables, const DraftKind& kind, Rng& rng) : tables_(tables), kind_(kind), rng_(rng) {}

    Tree run(const Context& emitted) {
        tree_ = Tree();
        if (kind_.q == "steps" || kind_.q == "steps undeclared")
            steps(std::min(kind_.length, tables_.length() - emitted.length));
        else if (kind_.tree)
            branch(emitted, ROOT, 2);
        else
            chain(emitted);
        return std::move(tree_);
    }

  private:
    bool dense(size_t turn) const { return kind_.q == "dense" || (kind_.q == "mixed" && turn % 2 == 0); }

    /** Draws a token of `row` and appends it; its number. */
    int append(int32_t token, int parent, const Row* drawn_from) {
        int q = POINT_MASS;
        if (drawn_from != nullptr) {
            q = static_cast<int>(tree_.q.size());
            tree_.q.push_back(*drawn_from);
        }
        tree_.nodes.push_back({token, parent, q});
        return static_cast<int>(tree_.size()) - 1;
    }

    /** `places[i]`: sizes of the choice at this place; children in order, likelier ones first for point masses. */
    void branch(const Context& context, int parent, int children) {
        if (context.length >= tables_.length()) return;
        Row rest = tables_.q(context);
        // Which of two siblings is drawn changes from level to level.
        for (int i = 0; i < children; ++i) {
            const bool drawn = dense(static_cast<size_t>(i) + static_cast<size_t>(context.length));
            const int32_t token = drawn ? draw(rest, rng_) : argmax(rest.data(), static_cast<int>(rest.size()));
            const float total = std::accumulate(rest.begin(), rest.end(), 0.0F);
            if (total <= 0) return;
            for (auto& value : rest)
                value /= total;
            const int node = append(token, parent, drawn ? &rest : nullptr);
            rest[static_cast<size_t>(token)] = 0;
            branch(tables_.after(context, token), node, i == 0 ? children : 1);
        }
    }

    void chain(Context context) {
        for (int i = 0; i < kind_.length && context.length < tables_.length(); ++i) {
            const auto& q = tables_.q(context);
            const bool drawn = dense(static_cast<size_t>(context.length));
            const int32_t token = drawn ? draw(q, rng_) : argmax(q.data(), static_cast<int>(q.size()));
            append(token, i - 1, drawn ? &q : nullptr);
            context = tables_.after(context, token);
        }
    }

    /** One place is revealed, then the others given it, each by itself. */
    void steps(int length) {
        if (length == 0) return;
        const auto first = static_cast<int>(rng_.uniform() * length);
        const auto& early = tables_.any_q(static_cast<size_t>(first) + 1);
        const int32_t revealed = draw(early, rng_);
        for (int i = 0; i < length; ++i) {
            const auto number = size_t{5} + 7 * static_cast<size_t>(i) + 3 * static_cast<size_t>(first) +
                                11 * static_cast<size_t>(revealed);
            const auto& q = i == first ? early : tables_.any_q(number);
            const bool declared = kind_.q == "steps" && i == first;
            append(i == first ? revealed : draw(q, rng_), i - 1, declared ? nullptr : &q);
        }
    }

    const Tables& tables_;
    const DraftKind& kind_;
    Rng& rng_;
    Tree tree_;
};

} // namespace

std::vector<float> distributions(const Language& language) {
    const Tables tables(language);
    std::vector<float> result;
    for (const auto& row : tables.all())
        result.insert(result.end(), row.begin(), row.end());
    return result;
}

Simulated simulate(const Language& language, const DraftKind& kind, const AcceptanceRule& rule, int samples,
                   uint64_t seed) {
    static const std::array<const char*, 5> kinds = {"dense", "point", "mixed", "steps", "steps undeclared"};
    if (std::find(kinds.begin(), kinds.end(), kind.q) == kinds.end()) throw Error("Unknown kind of q " + kind.q + ".");
    const Tables tables(language);
    size_t cells = 1;
    for (int i = 0; i < language.length; ++i)
        cells *= static_cast<size_t>(language.vocabulary);
    Simulated result;
    result.counts.resize(cells);
    Rng rng(seed);
    Draft draft(tables, kind, rng);
    for (int sample = 0; sample < samples; ++sample) {
        Context emitted;
        while (emitted.length < language.length) {
            const Tree tree = draft.run(emitted);
            TableRows rows(tables, emitted);
            const Outcome outcome = rule(tree, rows, rng);
            result.accepted += outcome.path.size();
            for (const int node : outcome.path)
                emitted = tables.after(emitted, tree.at(node).token);
            if (emitted.length < language.length) emitted = tables.after(emitted, outcome.next);
        }
        ++result.counts[emitted.code];
    }
    return result;
}

} // namespace specdiff::test

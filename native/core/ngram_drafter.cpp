#include "ngram_drafter.h"

#include "lookup_branches.h"
#include "ngram_index.h"

#include <limits>

namespace specdiff {

namespace {

class NgramDrafter : public Drafter {
  public:
    const std::string& name() const override { return name_; }
    int max_draft_length() const override { return LONGEST_DRAFT; }
    int reusable_prefix(int /*cached*/) const override { return std::numeric_limits<int>::max(); }
    void truncate(int /*length*/) override {}
    void rows(const TapRows& /*rows*/) override {}
    void observe(const DraftOutcome& /*outcome*/) override {}

    void begin(const std::vector<int32_t>& prompt, const std::vector<int32_t>& lookup) override {
        index_.start(lookup, prompt);
    }

    void emitted(const std::vector<int32_t>& tokens, int count) override { index_.append_last(tokens, count); }

    /** Longer matches are right more often: 1, 2, 3, 4–7 and 8 tokens are judged apart. */
    std::optional<int> outlook(const DraftContext& /*context*/) override {
        match_ = index_.find();
        if (match_.length == 0) return std::nullopt;
        if (match_.length >= NgramIndex::LONGEST) return 5;
        return match_.length >= 4 ? 4 : match_.length;
    }

    Tree propose(const DraftContext& /*context*/, Budget budget) override {
        if (budget.nodes > 0) {
            return tree_of(
                grow({{}, lookup_branches(index_, match_, budget.tokens, BRANCHES)}, budget.tokens, budget.nodes),
                budget.nodes);
        }
        Tree tree;
        for (const auto token : index_.copy(match_, budget.tokens))
            tree.append(token);
        return tree;
    }

  private:
    /** More rows than this no target verifies cheaply enough. */
    static constexpr int LONGEST_DRAFT = 32;
    static constexpr int BRANCHES = 2;

    std::string name_ = "ngram";
    NgramIndex index_;
    NgramIndex::Match match_;
};

} // namespace

std::unique_ptr<Drafter> make_ngram_drafter(const DrafterResources& /*resources*/) {
    return std::make_unique<NgramDrafter>();
}

} // namespace specdiff

#include "ngram_drafter.h"

#include "lookup_branches.h"
#include "outlook.h"

#include <limits>

namespace specdiff {

namespace {

class NgramDrafter : public Drafter {
  public:
    const std::string& name() const override { return outlook::NGRAM; }
    int max_draft_length() const override { return LONGEST_DRAFT; }
    bool free() const override { return true; }
    int reusable_prefix(int /*cached*/) const override { return std::numeric_limits<int>::max(); }
    void truncate(int /*length*/) override {}
    void rows(const TapRows& /*rows*/) override {}

    void begin() override { streak_ = 0; }
    void observe(const DraftOutcome& outcome) override {
        streak_ = outcome.accepted == outcome.drafted ? streak_ + 1 : 0;
    }

    /** Longer matches are right more often, and so is a copy that goes on. */
    std::optional<Outlook> outlook(const DraftContext& context) override {
        match_ = context.lookup.find();
        if (match_.length == 0) return std::nullopt;
        return Outlook{outlook::of_match(match_, streak_), 0};
    }

    Draft propose(const DraftContext& context, const Budget& budget) override {
        Draft draft;
        if (budget.nodes > 0) {
            const auto branches = lookup_branches(context.lookup, match_, budget.tokens, BRANCHES);
            draft.tree = tree_of(grow({{}, branches}, budget.tokens, budget.nodes), budget.nodes);
            return draft;
        }
        for (const auto token : context.lookup.copy(match_, budget.tokens))
            draft.tree.append(token);
        return draft;
    }

  private:
    /** More rows than this no target verifies cheaply enough. */
    static constexpr int LONGEST_DRAFT = 32;
    static constexpr int BRANCHES = 2;

    Lookup::Match match_;
    /** Drafts in a row that were accepted whole. */
    int streak_ = 0;
};

} // namespace

std::unique_ptr<Drafter> make_ngram_drafter() {
    return std::make_unique<NgramDrafter>();
}

} // namespace specdiff

#include "ngram_drafter.h"

#include "outlook.h"
#include "tree_growth.h"

#include <array>
#include <limits>
#include <utility>
#include <vector>

namespace specdiff {

namespace {

/** Chance that a looked-up token is right, by tokens that matched (1, 2, …). Rough: it only orders a tree's nodes. */
constexpr std::array<double, NgramIndex::LONGEST> CHANCES = {0.35, 0.5, 0.6, 0.7, 0.75, 0.8, 0.8, 0.9};

/** What the texts say, and what the target's turns of phrase do; the better one first. */
std::vector<Guess> looked_up(const Lookup& lookup, const std::vector<int32_t>& path) {
    const auto evidence = lookup.after(path);
    const auto chance_of = [](int length) { return CHANCES[static_cast<size_t>(length - 1)]; };
    std::vector<Guess> guesses;
    if (evidence.matched > 0) guesses.push_back({evidence.copied, chance_of(evidence.matched), {}, true});
    if (evidence.phrase.length > 0 && evidence.phrase.token != evidence.copied)
        guesses.push_back({evidence.phrase.token, chance_of(evidence.phrase.length), {}, true});
    if (guesses.size() < 2) return guesses;
    if (evidence.phrased()) std::swap(guesses.front(), guesses.back());
    guesses.back().chance *= 1 - guesses.front().chance;
    return guesses;
}

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
        // Where a judge decides, it knows chains of what is free.
        if (budget.nodes > 0 && budget.judge == nullptr) {
            const auto after = [&](const std::vector<int32_t>& path) { return looked_up(context.lookup, path); };
            Draft grown = grown_draft(after, budget);
            grown.judged.clear();
            return grown;
        }
        Draft draft;
        for (const auto token : context.lookup.copy(match_, budget.tokens))
            draft.tree.append(token);
        return draft;
    }

  private:
    /** More rows than this no target verifies cheaply enough. */
    static constexpr int LONGEST_DRAFT = 32;

    Lookup::Match match_;
    /** Drafts in a row that were accepted whole. */
    int streak_ = 0;
};

} // namespace

std::unique_ptr<Drafter> make_ngram_drafter() {
    return std::make_unique<NgramDrafter>();
}

} // namespace specdiff

#include "joint_drafter.h"

#include "block_guesses.h"
#include "outlook.h"

#include <algorithm>

namespace specdiff {

namespace {

/**
 * Place by place the likeliest token by the block's slot and by what is looked up behind the tokens drafted before it;
 * behind the block's last slot, by the lookup alone. Or the best-first tree of all of these.
 *
 * Exact: looked-up tokens and trees are point masses, the block's tokens carry the rows that they are drawn from. Where
 * the draft ends is decided by its likeliest path, before a token is drawn.
 */
class JointDrafter : public Drafter {
  public:
    explicit JointDrafter(BlockDrafter& block) : block_(block) {}

    const std::string& name() const override { return outlook::JOINT; }
    int max_draft_length() const override { return LONGEST_DRAFT; }
    Drafter* part() const override { return &block_; }
    int reusable_prefix(int cached) const override { return block_.reusable_prefix(cached); }
    // The block drafter is told by itself.
    void truncate(int /*length*/) override {}
    void rows(const TapRows& /*rows*/) override {}

    void begin() override { streak_ = 0; }
    void observe(const DraftOutcome& outcome) override {
        streak_ = outcome.accepted == outcome.drafted ? streak_ + 1 : 0;
    }

    std::optional<Outlook> outlook(const DraftContext& context) override {
        const auto block = block_.outlook(context);
        if (!block) return std::nullopt;
        match_ = context.lookup.find();
        return Outlook{outlook::of_match(match_, streak_), block->pending_rows};
    }

    Draft propose(const DraftContext& context, const Budget& budget) override {
        const int count = block_.slots(budget);
        auto copy = block_.starts_from_guesses() ? context.lookup.copy(match_, count) : std::vector<int32_t>();
        const auto slots = block_.denoise(context, count, copy);
        const BlockGuesses guesses(block_.chances(), context.lookup, slots, std::move(copy));
        const bool drawn = context.temperature > 0 && context.drawn;
        const auto after = [&](const std::vector<int32_t>& path) {
            return following(guesses, path, context, budget.judge);
        };
        if (budget.nodes > 0 && budget.judge == nullptr) return grown_draft(after, budget);
        const auto likeliest = likeliest_path(guesses, context, budget);
        int length = static_cast<int>(likeliest.size());
        if (budget.judge != nullptr) {
            std::vector<double> paths;
            paths.reserve(likeliest.size());
            double path = 1;
            for (const auto& one : likeliest)
                paths.push_back(path *= one.chance);
            const auto chain = budget.judge->prefix(paths);
            length = chain.nodes;
            // A drawn chain is accepted more often than point masses; a long copy has more tokens than a tree has
            // nodes.
            if (budget.nodes > 0 && !drawn) {
                const Growth growth = grow(after, budget.tokens, budget.nodes);
                const auto tree = budget.judge->prefix(growth.chances);
                if (tree.worth > chain.worth) return draft_of(growth, tree.nodes);
            }
        }
        Draft draft;
        std::vector<int32_t> path;
        bool left = false; // a drawn token was another one
        while (static_cast<int>(path.size()) < length) {
            const auto all = left ? after(path) : std::vector<Guess>();
            if (left && all.empty()) break;
            const Guess& next = left ? all.front() : likeliest[path.size()];
            if (drawn && !next.looked_up)
                append_slot(draft.tree, slots[path.size()], block_.vocabulary_size(), context);
            else
                draft.tree.append(next.token);
            draft.judged.push_back(next.slot);
            path.push_back(draft.tree.nodes.back().token);
            left = left || path.back() != next.token;
        }
        return draft;
    }

  private:
    /** More rows than this no target verifies cheaply enough. */
    static constexpr int LONGEST_DRAFT = 32;

    /** What may come after `path`, likeliest first. */
    std::vector<Guess> following(const BlockGuesses& guesses, const std::vector<int32_t>& path,
                                 const DraftContext& context, const Judge* judge) const {
        auto all = guesses.after(path, outlook::JOINT, judge);
        if (!all.empty()) return all;
        const auto evidence = context.lookup.after(path);
        const auto match = evidence.best();
        if (match.length == 0) return all;
        const Slot slot{outlook::NGRAM_BEYOND, outlook::of_match(match, streak_), static_cast<int>(path.size())};
        const double chance = judge != nullptr ? judge->chance(slot) : outlook::prior(slot.source, slot.outlook, true);
        all.push_back({evidence.best_token(), chance, slot, true});
        return all;
    }

    std::vector<Guess> likeliest_path(const BlockGuesses& guesses, const DraftContext& context,
                                      const Budget& budget) const {
        std::vector<int32_t> path;
        std::vector<Guess> likeliest;
        while (static_cast<int>(path.size()) < budget.tokens) {
            auto all = following(guesses, path, context, budget.judge);
            if (all.empty()) break;
            path.push_back(all.front().token);
            likeliest.push_back(std::move(all.front()));
        }
        return likeliest;
    }

    BlockDrafter& block_;
    Lookup::Match match_;
    /** Drafts in a row that were accepted whole. */
    int streak_ = 0;
};

} // namespace

std::unique_ptr<Drafter> make_joint_drafter(BlockDrafter& block) {
    return std::make_unique<JointDrafter>(block);
}

} // namespace specdiff

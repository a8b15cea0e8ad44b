#include "joint_drafter.h"

#include "outlook.h"

#include <algorithm>

namespace specdiff {

namespace {

/**
 * Place by place the more promising of two tokens: the looked-up one or the block's. Where both agree it is drafted as
 * looked up; where they differ the learned chances decide, and once the block's token is taken the copy has ended and
 * the block's slots go on. Behind the block's last slot the copy goes on, if it has not ended.
 *
 * Exact: what is chosen and where the draft ends depend on the lookup and on the block's logits, both fixed before a
 * token is drawn. Looked-up tokens are point masses, the block's carry the rows that they are drawn from.
 */
class JointDrafter : public Drafter {
  public:
    explicit JointDrafter(BlockDrafter& block) : block_(block) {}

    const std::string& name() const override { return name_; }
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
        const auto copy = context.lookup.copy(match_, budget.tokens);
        const int wanted = std::min(budget.tokens, block_.max_draft_length());
        const auto slots = block_.denoise(context, wanted, copy);
        const auto choices = choose(slots, copy, budget);
        std::vector<Slot> places;
        places.reserve(choices.size());
        for (const auto& choice : choices)
            places.push_back(choice.judged.slot);
        const int length = budget.judge == nullptr ? static_cast<int>(choices.size()) : budget.judge->length(places);
        Draft draft;
        for (int i = 0; i < length; ++i) {
            Choice choice = choices[static_cast<size_t>(i)];
            if (choice.slot == nullptr) {
                draft.tree.append(choice.judged.token);
            } else {
                append_slot(draft.tree, *choice.slot, block_.vocabulary_size(), context);
                choice.judged.token = draft.tree.nodes.back().token;
            }
            draft.judged.push_back(choice.judged);
        }
        return draft;
    }

  private:
    /** More rows than this no target verifies cheaply enough. */
    static constexpr int LONGEST_DRAFT = 32;

    struct Choice {
        Judged judged;
        /** Null for a looked-up token. */
        const DenoisedSlot* slot = nullptr;
    };

    std::vector<Choice> choose(const std::vector<DenoisedSlot>& slots, const std::vector<int32_t>& copy,
                               const Budget& budget) const {
        std::vector<Choice> choices;
        const int match = outlook::of_match(match_, streak_);
        bool copying = !copy.empty();
        for (int i = 0; i < budget.tokens; ++i) {
            const auto place = static_cast<size_t>(i);
            copying = copying && place < copy.size();
            if (place >= slots.size()) {
                if (!copying) break;
                choices.push_back({{{outlook::NGRAM_BEYOND, match, i}, copy[place], -1, {}}, nullptr});
                continue;
            }
            const DenoisedSlot& slot = slots[place];
            if (!copying) {
                choices.push_back({{block_.judged(slot, outlook::Agreement::alone, i), slot.best, -1, {}}, &slot});
            } else if (slot.best == copy[place]) {
                choices.push_back({{block_.judged(slot, outlook::Agreement::agrees, i), slot.best, -1, {}}, nullptr});
            } else {
                const Slot block = block_.judged(slot, outlook::Agreement::differs, i);
                const Slot lookup{outlook::NGRAM_AGAINST, match, i, block_.copy_chance(match_, i)};
                copying = budget.judge != nullptr && budget.judge->chance(lookup) > budget.judge->chance(block);
                if (copying) {
                    choices.push_back({{lookup, copy[place], slot.best, block}, nullptr});
                } else {
                    choices.push_back({{block, slot.best, copy[place], lookup}, &slot});
                }
            }
        }
        return choices;
    }

    std::string name_ = "joint";
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

#include "diffusion_drafter.h"

#include "block_guesses.h"
#include "outlook.h"
#include "rounding.h"
#include "sampler.h"
#include "tapped_text.h"

#include <algorithm>
#include <utility>

namespace specdiff {

namespace {

class DiffusionDrafter : public BlockDrafter {
  public:
    DiffusionDrafter(std::unique_ptr<BlockNetwork> network, DrafterMetadata metadata, const Target& target)
        : text_(std::move(network), metadata.taps.size() * static_cast<size_t>(target.model().width())),
          metadata_(std::move(metadata)), vocabulary_size_(target.vocabulary().size()) {}

    const std::string& name() const override { return outlook::DIFFUSION; }
    int max_draft_length() const override { return metadata_.max_draft_length(); }

    int reusable_prefix(int cached) const override { return std::min(cached, text_.known_rows()); }
    void truncate(int length) override { text_.truncate(length); }
    void begin() override {}
    void rows(const TapRows& rows) override { text_.add(rows); }

    /** Judged by how long the slots' lookup matched; 0 where they start from masks. */
    std::optional<Outlook> outlook(const DraftContext& context) override {
        match_ = metadata_.slots_from_lookup ? context.lookup.find(metadata_.lookup_longest) : Lookup::Match();
        return Outlook{match_.length, text_.pending_rows()};
    }

    int slots(const Budget& budget) const override {
        const int most = std::min(budget.tokens, max_draft_length());
        return budget.slots > 0 ? std::min(most, rounded_up(budget.slots, text_.slot_step())) : most;
    }

    bool starts_from_guesses() const override { return metadata_.slots_from_lookup; }
    int vocabulary_size() const override { return vocabulary_size_; }

    std::vector<DenoisedSlot> denoise(const DraftContext& context, int count,
                                      const std::vector<int32_t>& guesses) override {
        const int first = metadata_.sample_from_anchor ? 0 : 1; // slot that predicts the first drafted token
        const int slots = std::min(count, max_draft_length()) + first;
        fill_block(context.tokens.back(), slots, guesses);
        std::vector<DenoisedSlot> denoised;
        for (const auto& row : text_.denoise(static_cast<int>(context.tokens.size()) - 1, block_, first)) {
            TopFew top = top_few(row.values, row.size);
            for (auto& token : top.tokens)
                token = token_of(row, token);
            denoised.push_back({top, row});
        }
        return denoised;
    }

    const PlaceChances& chances() const override { return metadata_.chances; }

    /**
     * Greedy jobs take each slot's best token; sampled ones draw it from the slot's distribution at the job's
     * temperature, which is q: the slots are independent given the context, so q(x_i | x_<i) = q_i(x_i). A tree has
     * looked-up tokens too.
     */
    Draft propose(const DraftContext& context, const Budget& budget) override {
        const int wanted = slots(budget);
        auto copy = context.lookup.copy(match_, wanted);
        const auto slots = denoise(context, wanted, copy);
        const BlockGuesses guesses(chances(), context.lookup, slots, std::move(copy));
        const bool drawn = context.temperature > 0 && context.drawn;
        if (budget.nodes > 0 && !(drawn && budget.judge != nullptr)) {
            const auto after = [&](const std::vector<int32_t>& path) {
                return guesses.after(path, outlook::DIFFUSION, budget.judge);
            };
            return grown_draft(after, budget);
        }
        std::vector<Slot> places;
        std::vector<int32_t> path;
        for (const auto& slot : slots) {
            const auto all = guesses.after(path, outlook::DIFFUSION, nullptr);
            const auto own =
                std::find_if(all.begin(), all.end(), [&](const Guess& guess) { return guess.token == slot.best(); });
            places.push_back(own->slot);
            path.push_back(slot.best());
        }
        const int length = budget.judge == nullptr ? wanted : budget.judge->length(places);
        Draft draft;
        for (int i = 0; i < length; ++i) {
            const auto place = static_cast<size_t>(i);
            append_slot(draft.tree, slots[place], vocabulary_size_, context);
            draft.judged.push_back(places[place]);
        }
        return draft;
    }

    void observe(const DraftOutcome& /*outcome*/) override {}

  private:
    /** [anchor, slots…]: a slot holds the guess for its own place where there is one, else the mask. */
    void fill_block(int32_t anchor, int slots, const std::vector<int32_t>& guesses) {
        block_.assign(static_cast<size_t>(slots), metadata_.mask);
        block_.front() = anchor;
        if (!metadata_.slots_from_lookup) return;
        const auto known = std::min(guesses.size(), block_.size() - 1);
        std::copy_n(guesses.begin(), known, block_.begin() + 1);
    }

    TappedText text_;
    DrafterMetadata metadata_;
    int vocabulary_size_;
    /** The anchor, then the slots' tokens. */
    std::vector<int32_t> block_;
    Lookup::Match match_;
};

} // namespace

void append_slot(Tree& tree, const DenoisedSlot& slot, int vocabulary_size, const DraftContext& context) {
    if (context.temperature <= 0 || !context.drawn) return tree.append(slot.best());
    tree.q.push_back(slot_distribution(slot.row, vocabulary_size, context.temperature));
    tree.append(draw(tree.q.back(), context.rng), static_cast<int>(tree.q.size()) - 1);
}

std::unique_ptr<BlockDrafter> make_diffusion_drafter(const DrafterResources& resources) {
    if (!resources.metadata || resources.metadata->kind != DrafterKind::diffusion) return nullptr;
    auto network = make_block_network(resources, *resources.metadata);
    if (network == nullptr) return nullptr;
    return std::make_unique<DiffusionDrafter>(std::move(network), *resources.metadata, resources.target);
}

} // namespace specdiff

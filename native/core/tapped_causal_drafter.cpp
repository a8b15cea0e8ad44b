#include "tapped_causal_drafter.h"

#include "greatest.h"
#include "one_by_one.h"
#include "outlook.h"
#include "tapped_text.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace specdiff {

namespace {

class TappedCausalDrafter : public Drafter {
  public:
    TappedCausalDrafter(std::unique_ptr<BlockNetwork> network, const DrafterMetadata& metadata, const Target& target)
        : text_(std::move(network), metadata.taps.size() * static_cast<size_t>(target.model().width())),
          longest_(metadata.max_draft_length()), vocabulary_size_(target.vocabulary().size()) {}

    const std::string& name() const override { return outlook::CAUSAL; }
    int max_draft_length() const override { return longest_; }
    bool sequential() const override { return true; }

    int reusable_prefix(int cached) const override { return std::min(cached, text_.known_rows()); }
    void truncate(int length) override { text_.truncate(length); }
    void begin() override {}
    void rows(const TapRows& rows) override { text_.add(rows); }
    void observe(const DraftOutcome& /*outcome*/) override {}

    std::optional<Outlook> outlook(const DraftContext& /*context*/) override {
        return Outlook{0, text_.pending_rows()};
    }

    Draft propose(const DraftContext& context, const Budget& budget) override {
        const int length = static_cast<int>(context.tokens.size()) - 1;
        const auto next = [&](const Tree& tree) {
            const int place = static_cast<int>(tree.size());
            const auto row = place == 0 ? text_.denoise(length, {context.tokens.back()}, 0).front()
                                        : text_.denoise_next(tree.nodes.back().token, place);
            const TopTwo top = top_two(row.values, row.size);
            return NextToken{token_of(row, top.best), outlook::of_slot(top.margin),
                             [=, &context] { return slot_distribution(row, vocabulary_size_, context.temperature); }};
        };
        return one_by_one(next, std::min(budget.tokens, longest_), context, budget.judge);
    }

  private:
    TappedText text_;
    int longest_;
    int vocabulary_size_;
};

} // namespace

std::unique_ptr<Drafter> make_tapped_causal_drafter(const DrafterResources& resources) {
    if (!resources.metadata || resources.metadata->kind != DrafterKind::tapped_causal) return nullptr;
    const auto& metadata = *resources.metadata;
    return std::make_unique<TappedCausalDrafter>(make_block_network(resources, metadata), metadata, resources.target);
}

} // namespace specdiff

#include "standalone_drafter.h"

#include "ddit_model.h"
#include "denoising.h"
#include "error.h"
#include "outlook.h"
#include "sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace specdiff {

namespace {

/** Diffusion models are poor at continuing almost nothing (arXiv 2408.05636): the target begins alone. */
constexpr int LEAST_TEXT = 2;
/** Text that is read anew, where what is in the cells is of no use: more costs more than it adds. */
constexpr int TEXT_WINDOW = 256;
/** Text after the cursor that the slots look at. */
constexpr int SUFFIX_WINDOW = 32;
/** γ where nobody asks for one (10 to 20 is robust, arXiv 2408.05636), and T. */
constexpr int USUAL_LENGTH = 16;
constexpr int USUAL_STEPS = 2;
/** σ is rounded to so many steps for a factor of e: what it does to the network need not be computed every time. */
constexpr double SIGMA_STEPS = 16;
/** A rejected slot starts revealed where its best token was at least so likely. Chosen, not fitted. */
constexpr double HOT_CONFIDENCE = 0.5;

class StandaloneDrafter : public Drafter {
  public:
    StandaloneDrafter(const GgufFile& file, const DrafterMetadata& metadata, Target& target, ThreadPool& threads)
        : name_(metadata.kind == DrafterKind::sedd ? outlook::SEDD : outlook::MDLM),
          early_(metadata.kind == DrafterKind::sedd ? outlook::SEDD_EARLY : outlook::MDLM_EARLY),
          longest_(metadata.max_draft_length()), target_(target),
          model_(file, check_ddit_file(file), threads, target.cancel_flag()) {}

    const std::string& name() const override { return name_; }
    int max_draft_length() const override { return longest_; }
    int usual_draft_length() const override { return std::min(longest_, USUAL_LENGTH); }
    bool denoises() const override { return true; }
    int usual_steps() const override { return USUAL_STEPS; }

    // It reads tokens, not the target's rows, and sees by itself what of them it has read.
    int reusable_prefix(int /*cached*/) const override { return std::numeric_limits<int>::max(); }
    void truncate(int /*length*/) override {}
    void rows(const TapRows& /*rows*/) override {}
    void observe(const DraftOutcome& /*outcome*/) override {}

    void begin() override {
        first_draft_ = true;
        last_.views.clear();
    }

    std::optional<Outlook> outlook(const DraftContext& context) override {
        const auto length = static_cast<int>(context.tokens.size());
        if (length < LEAST_TEXT) return std::nullopt;
        return Outlook{0, std::min(length - kept(context.tokens), TEXT_WINDOW)};
    }

    Draft propose(const DraftContext& context, const Budget& budget) override {
        const int slots = std::min(budget.tokens, longest_);
        if (slots < 1) return {};
        const auto suffix = visible_suffix(context.denoising.suffix, slots);
        place_text(context, slots + static_cast<int>(suffix.size()));

        DenoisingOptions options;
        options.sampler = context.denoising.sampler;
        const int steps = budget.steps > 0 ? budget.steps : USUAL_STEPS;
        options.steps = std::min({steps, MOST_DENOISING_STEPS, slots});
        options.temperature = context.drawn ? context.temperature : 0;
        options.drawn_early = context.step_rows;
        options.vocabulary = target_.vocabulary().size();
        Denoising denoising(options, slots);
        if (context.denoising.hot_start) start_hot(denoising, options.steps, static_cast<int>(context.tokens.size()));

        SlotLogits logits = evaluate(denoising, suffix, &context.tokens);
        while (!denoising.last_step() && denoising.masked() > 0) {
            denoising.look(logits);
            denoising.advance(logits, context.rng);
            if (denoising.masked() > 0) logits = evaluate(denoising, suffix, nullptr);
        }
        denoising.look(logits);
        remember(denoising, static_cast<int>(context.tokens.size()));
        return drafted(denoising, options, logits, context, budget);
    }

  private:
    /** What the last draft's slots looked like. */
    struct LastDraft {
        /** Place of the first slot in the text. */
        int position = 0;
        std::vector<SlotView> views;
    };

    /** Tokens from the text's beginning whose keys and values are of use. */
    int kept(const std::vector<int32_t>& tokens) const {
        if (static_cast<int>(tokens.size()) <= base_) return 0;
        const auto most = std::min(tokens.size() - static_cast<size_t>(base_), text_.size());
        const auto end = text_.begin() + static_cast<std::ptrdiff_t>(most);
        const auto same = std::mismatch(text_.begin(), end, tokens.begin() + base_).first - text_.begin();
        return same == 0 ? 0 : base_ + static_cast<int>(same);
    }

    std::vector<int32_t> visible_suffix(const std::vector<int32_t>& suffix, int slots) const {
        const int room = std::min(SUFFIX_WINDOW, model_.shape().context / 2 - slots);
        const auto count = std::min<size_t>(suffix.size(), static_cast<size_t>(std::max(room, 0)));
        std::vector<int32_t> visible;
        visible.reserve(count);
        for (size_t i = 0; i < count; ++i)
            visible.push_back(known(suffix[i]));
        return visible;
    }

    /** A token that only the target has is a mask to the drafter. */
    int32_t known(int32_t token) const { return token < model_.shape().vocabulary ? token : model_.shape().mask; }

    /** Decides which text the window holds, and what of it is in the cells. */
    void place_text(const DraftContext& context, int others) {
        const auto length = static_cast<int>(context.tokens.size());
        const int most = model_.shape().context - others;
        int same = kept(context.tokens);
        // So that a seed repeats the text: nothing that earlier jobs left may show in what is drawn.
        if (first_draft_ && context.temperature > 0) same = 0;
        first_draft_ = false;
        if (same == 0 || length - base_ > most || length - same > TEXT_WINDOW) {
            base_ = std::max(0, length - std::min(TEXT_WINDOW, most));
            same = base_;
        }
        text_.resize(static_cast<size_t>(same - base_));
    }

    /** Rows for the slots as they stand. `text`: also reads what of the text is not in the cells, and the suffix. */
    SlotLogits evaluate(const Denoising& denoising, const std::vector<int32_t>& suffix,
                        const std::vector<int32_t>* text) {
        const auto slots = static_cast<int>(denoising.slots().size());
        DditPass pass;
        pass.position = static_cast<int>(text_.size());
        std::vector<int32_t> unread;
        if (text != nullptr) unread.assign(text->begin() + base_ + pass.position, text->end());
        for (const auto token : unread)
            pass.tokens.push_back(known(token));
        pass.first = static_cast<int>(unread.size());
        pass.outputs = slots;
        for (const auto& slot : denoising.slots())
            pass.tokens.push_back(slot.masked() ? model_.shape().mask : known(slot.token));
        pass.cells = pass.position + pass.first + slots + static_cast<int>(suffix.size());
        if (text != nullptr) pass.tokens.insert(pass.tokens.end(), suffix.begin(), suffix.end());
        const float* values = model_.evaluate(pass, sigma(denoising.masked(), pass.cells));
        text_.insert(text_.end(), unread.begin(), unread.end());
        const int usable = std::min(model_.shape().vocabulary, target_.vocabulary().size());
        return {values, model_.output_stride(), usable, model_.shape().mask};
    }

    static double sigma(int masked, int window) {
        const double exact = -std::log1p(-static_cast<double>(std::max(masked, 1)) / window);
        return std::exp(std::round(std::log(exact) * SIGMA_STEPS) / SIGMA_STEPS);
    }

    /**
     * Slots that the last draft denoised too, and that the target did not get to, start as they were left: those whose
     * best token was likely are revealed, at most as many as the steps that are left out would have revealed.
     */
    void start_hot(Denoising& denoising, int steps, int position) const {
        const int shift = position - last_.position;
        const auto slots = static_cast<int>(denoising.slots().size());
        const int known_slots = std::min(static_cast<int>(last_.views.size()) - shift, slots);
        if (shift < 1 || known_slots < 1) return;
        const int skipped = (steps - 1) * known_slots / slots;
        if (skipped < 1) return;
        std::vector<int> sure;
        const auto view = [&](int slot) { return last_.views[static_cast<size_t>(slot) + static_cast<size_t>(shift)]; };
        for (int slot = 0; slot < known_slots; ++slot) {
            if (view(slot).confidence >= HOT_CONFIDENCE) sure.push_back(slot);
        }
        std::stable_sort(sure.begin(), sure.end(),
                         [&](int a, int b) { return view(a).confidence > view(b).confidence; });
        sure.resize(std::min(sure.size(), static_cast<size_t>(denoising.revealed_after(skipped))));
        if (sure.empty()) return;
        for (const int slot : sure)
            denoising.reveal(slot, view(slot).best, view(slot));
        denoising.skip(skipped);
    }

    void remember(const Denoising& denoising, int position) {
        last_.position = position;
        last_.views.clear();
        for (const auto& slot : denoising.slots())
            last_.views.push_back(slot.view);
    }

    /**
     * Tokens of early steps are conditions of the last step's rows, so they are point masses (or, for the rule that
     * takes them as they were drawn, come with their own step's row); the masked slots are independent given them, and
     * are drawn from their rows after it was decided where the draft ends.
     */
    Draft drafted(const Denoising& denoising, const DenoisingOptions& options, const SlotLogits& logits,
                  const DraftContext& context, const Budget& budget) const {
        std::vector<Slot> places;
        for (const auto& slot : denoising.slots()) {
            const auto place = static_cast<int>(places.size());
            const auto& source = slot.masked() ? name_ : early_;
            places.push_back({source, outlook::of_slot(slot.view.margin), place});
        }
        const int length = budget.judge == nullptr ? static_cast<int>(places.size()) : budget.judge->length(places);
        Draft draft;
        const auto append = [&](int32_t token, std::vector<float> q) {
            if (q.empty()) return draft.tree.append(token);
            draft.tree.q.push_back(std::move(q));
            draft.tree.append(token, static_cast<int>(draft.tree.q.size()) - 1);
        };
        for (int i = 0; i < length; ++i) {
            const auto& slot = denoising.slots()[static_cast<size_t>(i)];
            if (!slot.masked()) {
                append(slot.token, slot.q);
            } else if (options.temperature <= 0) {
                append(slot.view.best, {});
            } else {
                std::vector<float> q;
                slot_distribution(logits, i, options.temperature, options.vocabulary, q);
                const int32_t token = draw(q, context.rng);
                append(token, std::move(q));
            }
            draft.judged.push_back(places[static_cast<size_t>(i)]);
            draft.steps.push_back(slot.masked() ? denoising.step() : slot.step);
        }
        return draft;
    }

    std::string name_;
    /** What slots that earlier steps revealed are judged by. */
    std::string early_;
    int longest_;
    Target& target_;
    DditModel model_;
    /** Place in the job's text of the token in the first cell, and the text from there on that is in the cells. */
    int base_ = 0;
    std::vector<int32_t> text_;
    bool first_draft_ = true;
    LastDraft last_;
};

} // namespace

std::unique_ptr<Drafter> make_standalone_drafter(const DrafterResources& resources) {
    if (!resources.file || !resources.metadata || !is_standalone_diffusion(resources.metadata->kind)) return nullptr;
    return std::make_unique<StandaloneDrafter>(*resources.file, *resources.metadata, resources.target,
                                               resources.threads);
}

} // namespace specdiff

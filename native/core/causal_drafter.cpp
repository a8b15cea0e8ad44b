#include "causal_drafter.h"

#include "error.h"
#include "greatest.h"
#include "log.h"
#include "model_runner.h"
#include "one_by_one.h"
#include "outlook.h"
#include "sampler.h"

#include <llama.h>

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

namespace specdiff {

namespace {

constexpr int LONGEST_DRAFT = 16;

class CausalDrafter : public Drafter {
  public:
    CausalDrafter(Model model, const std::string& label, Target& target, ThreadPool& threads)
        : model_(std::move(model)), vocabulary_size_(target.vocabulary().size()),
          own_vocabulary_(llama_vocab_n_tokens(llama_model_get_vocab(model_.get()))),
          context_tokens_(std::min(target.context_tokens() + LONGEST_DRAFT, model_.trained_context())),
          runner_(make_runner(model_, threads, options(label), target.cancel_flag())) {}

    const std::string& name() const override { return outlook::CAUSAL; }
    int max_draft_length() const override { return LONGEST_DRAFT; }
    bool sequential() const override { return true; }

    // It reads tokens, not the target's rows, and sees by itself what of them it has read.
    int reusable_prefix(int /*cached*/) const override { return std::numeric_limits<int>::max(); }
    void truncate(int /*length*/) override {}
    void rows(const TapRows& /*rows*/) override {}
    void begin() override {}
    void observe(const DraftOutcome& /*outcome*/) override {}

    std::optional<Outlook> outlook(const DraftContext& context) override {
        const auto length = static_cast<int>(context.tokens.size());
        if (length + 1 > context_tokens_) return std::nullopt;
        return Outlook{0, length - common_prefix(context.tokens)};
    }

    Draft propose(const DraftContext& context, const Budget& budget) override {
        catch_up(context.tokens);
        const int room = context_tokens_ - static_cast<int>(context.tokens.size());
        const auto next = [&](const Tree& tree) {
            if (!tree.empty()) read(&tree.nodes.back().token, 1);
            const float* logits = runner_->logits(last_row_);
            const TopTwo top = top_two(logits, common_vocabulary());
            return NextToken{top.best, outlook::of_slot(top.margin),
                             [=, &context] { return distribution(logits, context.temperature); }};
        };
        return one_by_one(next, std::min({budget.tokens, LONGEST_DRAFT, room + 1}), context, budget.judge);
    }

  private:
    RunnerOptions options(const std::string& label) const {
        RunnerOptions result;
        result.who = "the drafter " + label;
        result.context_tokens = context_tokens_;
        return result;
    }

    int common_prefix(const std::vector<int32_t>& tokens) const {
        const auto most = std::min(tokens.size(), read_.size());
        const auto different =
            std::mismatch(read_.begin(), read_.begin() + static_cast<std::ptrdiff_t>(most), tokens.begin());
        return static_cast<int>(different.first - read_.begin());
    }

    /** Reads the text's new tokens, forgets those of drafts that were rejected. Logits follow the last token. */
    void catch_up(const std::vector<int32_t>& tokens) {
        // The last one is read again where it was read already: its logits are wanted.
        const int known = std::min(common_prefix(tokens), static_cast<int>(tokens.size()) - 1);
        forget_after(known);
        const auto most = static_cast<size_t>(runner_->most_rows());
        for (size_t start = read_.size(); start < tokens.size(); start += most)
            read(tokens.data() + start, static_cast<int>(std::min(most, tokens.size() - start)));
    }

    void forget_after(int length) {
        if (static_cast<size_t>(length) >= read_.size()) return;
        runner_->truncate(length);
        read_.resize(static_cast<size_t>(length));
    }

    void read(const int32_t* tokens, int count) {
        const auto position = static_cast<int>(read_.size());
        last_row_ = count - 1;
        const LogCapture captured;
        const int result = runner_->run({tokens, count, position, nullptr, last_row_});
        if (result == RUN_DONE) {
            read_.insert(read_.end(), tokens, tokens + count);
            return;
        }
        runner_->truncate(position);
        if (result == RUN_CANCELLED) throw Cancelled();
        throw Error("The drafter's pass failed with code " + std::to_string(result) + " (" + captured.reason() + ").");
    }

    /** Tokens that only one of the two models has are never drafted. */
    int common_vocabulary() const { return std::min(vocabulary_size_, own_vocabulary_); }

    std::vector<float> distribution(const float* logits, double temperature) const {
        std::vector<float> q;
        softmax(logits, common_vocabulary(), temperature, q);
        require_distribution(q);
        q.resize(static_cast<size_t>(vocabulary_size_), 0.0F);
        return q;
    }

    Model model_;
    int vocabulary_size_;
    int own_vocabulary_;
    int context_tokens_;
    std::unique_ptr<ModelRunner> runner_;
    /** Of the last pass; its logits follow what was read. */
    int last_row_ = 0;
    /** Tokens whose keys and values are in its cache. */
    std::vector<int32_t> read_;
};

} // namespace

std::unique_ptr<Drafter> make_causal_drafter(const DrafterResources& resources) {
    if (!resources.model || !resources.metadata || resources.metadata->kind != DrafterKind::causal) return nullptr;
    if (!resources.model->can_roll_back()) {
        throw Error("The drafter " + resources.metadata->name +
                    " can't be used: its memory can't take rejected tokens back; choose a model without recurrent "
                    "layers.");
    }
    return std::make_unique<CausalDrafter>(*resources.model, resources.metadata->name, resources.target,
                                           resources.threads);
}

} // namespace specdiff

#include "decoder.h"

#include "accept_greedy.h"
#include "error.h"
#include "log.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace specdiff {

namespace {

/** Rows of one pass seen through the job's sampler. */
class SampledRows : public TargetRows {
  public:
    SampledRows(const PassRows& rows, Sampler& sampler, const std::vector<int32_t>& tokens)
        : rows_(rows), sampler_(sampler), history_(tokens), emitted_(tokens.size()) {}

    int32_t best(int row, const std::vector<int32_t>& path) override {
        return sampler_.best(logits(row), history(path));
    }

    const std::vector<float>& probabilities(int row, const std::vector<int32_t>& path) override {
        if (row != row_) sampler_.probabilities(logits(row), history(path), p_);
        row_ = row;
        return p_;
    }

  private:
    const float* logits(int row) const { return *(rows_.logits.begin() + row - ROOT); }

    const std::vector<int32_t>& history(const std::vector<int32_t>& path) {
        history_.resize(emitted_);
        history_.insert(history_.end(), path.begin(), path.end());
        return history_;
    }

    const PassRows& rows_;
    Sampler& sampler_;
    std::vector<int32_t> history_;
    size_t emitted_;
    /** The row that `p_` is of: only one path leads to it. */
    int row_ = NO_NODE;
    std::vector<float> p_;
};

} // namespace

/** State of one job. */
class Decoder::Run {
  public:
    Run(Decoder& decoder, const Job& job, const JobEvents& events)
        : decoder_(decoder), target_(decoder.target_), job_(job), events_(events),
          sampler_(job.sampling, decoder.target_.vocabulary().size()), rng_(job.sampling.seed), tokens_(job.prompt) {
        for (auto& drafter : decoder.drafters_) {
            const bool wanted = job.drafter == AUTO_DRAFTER || job.drafter == drafter->name();
            if (wanted && target_.model().can_roll_back()) usable_.push_back(drafter.get());
        }
    }

    FinishReason operator()() {
        try {
            prefill();
            while (!finished_)
                pass();
        } catch (const Cancelled&) {
            return FinishReason::cancelled;
        }
        return reason_;
    }

  private:
    void prefill() {
        const double start = decoder_.clock_();
        int reuse_limit = std::numeric_limits<int>::max();
        const int cached = target_.reusable_prefix(job_.prompt);
        for (auto* drafter : usable_)
            reuse_limit = std::min(reuse_limit, drafter->reusable_prefix(cached));
        const auto result = target_.prefill(
            job_.prompt, reuse_limit,
            [&](int kept) {
                for (auto& drafter : decoder_.drafters_)
                    drafter->truncate(kept);
            },
            [&](const TapRows& rows) {
                for (auto* drafter : usable_)
                    drafter->rows(rows);
            });
        for (auto* drafter : usable_)
            drafter->begin(job_.prompt, job_.lookup);
        events_.on_prefill({static_cast<int>(job_.prompt.size()), result.evaluated, decoder_.clock_() - start});
        if (job_.max_tokens <= 0) return finish(FinishReason::max_tokens);

        PassRows rows;
        rows.logits.push_back(result.logits);
        SampledRows view(rows, sampler_, tokens_);
        const Outcome outcome = rule()(Tree(), view, rng_);
        Pass pass;
        emit(pass, Tree(), outcome);
    }

    AcceptanceRule rule() const {
        if (sampler_.greedy()) return accept_greedy;
        return decoder_.replaced_rule_ ? decoder_.replaced_rule_ : sampled_rule(job_.acceptance);
    }

    void finish(FinishReason reason) {
        finished_ = true;
        reason_ = reason;
    }

    /** Rows that the next pass may have. */
    int room() const {
        return std::min(
            {Target::MAX_ROWS, job_.max_tokens - emitted_, target_.context_tokens() - target_.cached_tokens()});
    }

    void pass() {
        if (room() < 1) return finish(FinishReason::context_full);
        Pass pass;
        PassMeasure measure;
        const Tree tree = draft(pass, measure);

        const double start = decoder_.clock_();
        const auto want = sampler_.greedy() ? Want::argmax : Want::logits;
        const PassRows& rows = target_.verify(tokens_.back(), tree, want);
        measure.target_ms = decoder_.clock_() - start;
        SampledRows view(rows, sampler_, tokens_);
        const Outcome outcome = rule()(tree, view, rng_);

        measure.drafted = tree.depth();
        measure.nodes = static_cast<int>(tree.size());
        measure.accepted = static_cast<int>(outcome.path.size());
        const auto committed = target_.commit(before_end(tree, outcome));
        for (auto* drafter : usable_)
            drafter->rows(committed);
        pass.verify_ms = decoder_.clock_() - start;
        decoder_.controller_.observe(measure);
        if (active_ != nullptr) active_->observe({measure.drafted, measure.accepted});
        emit(pass, tree, outcome);
    }

    /** Lets the controller plan and the chosen drafter draft; an empty tree is a plain pass. */
    Tree draft(Pass& pass, PassMeasure& measure) {
        active_ = nullptr;
        const double start = decoder_.clock_();
        const DraftContext context{tokens_, job_.sampling.temperature, rng_, wants_drawn_drafts(job_.acceptance)};
        const int nodes = std::min(job_.tree_nodes, target_.tree_nodes());
        std::vector<Candidate> candidates;
        std::vector<Drafter*> drafters;
        for (auto* drafter : usable_) {
            int most = std::min(room() - 1, drafter->max_draft_length());
            if (job_.draft_length > 0) most = std::min(most, job_.draft_length);
            const auto outlook = most > 0 ? drafter->outlook(context) : std::nullopt;
            if (!outlook) continue;
            candidates.push_back({drafter->name(), *outlook, most});
            drafters.push_back(drafter);
        }
        if (candidates.empty()) return {};
        const bool fixed = job_.drafter != AUTO_DRAFTER;
        Plan plan{0, candidates.front().max_length};
        if (!fixed || job_.draft_length == 0) plan = decoder_.controller_.next(candidates, !fixed);
        if (plan.candidate == Plan::PLAIN) return {};
        // A tree's size is its nodes'; its paths may be as long as they like.
        if (nodes > 0) plan.length = candidates[static_cast<size_t>(plan.candidate)].max_length;

        auto* drafter = drafters[static_cast<size_t>(plan.candidate)];
        Tree tree;
        try {
            tree = drafter->propose(context, {plan.length, nodes});
        } catch (const Error& error) {
            log(LogLevel::error, "drafter " + drafter->name() + " stopped for this job: " + error.what());
            usable_.erase(std::remove(usable_.begin(), usable_.end(), drafter), usable_.end());
        }
        measure.draft_ms = pass.draft_ms = decoder_.clock_() - start;
        if (tree.empty()) return {};
        active_ = drafter;
        measure.drafter = pass.drafter = drafter->name();
        measure.outlook = candidates[static_cast<size_t>(plan.candidate)].outlook;
        return tree;
    }

    /** Accepted nodes whose rows stay in the cache: those before an end-of-generation token. */
    std::vector<int> before_end(const Tree& tree, const Outcome& outcome) const {
        const auto end = std::find_if(outcome.path.begin(), outcome.path.end(), [&](int node) {
            return target_.vocabulary().ends_generation(tree.at(node).token);
        });
        return {outcome.path.begin(), end};
    }

    void emit(Pass& pass, const Tree& tree, const Outcome& outcome) {
        pass.drafted = tree.depth();
        pass.nodes = static_cast<int>(tree.size());
        const bool complete = tree.first_child(outcome.path.empty() ? ROOT : outcome.path.back()) == NO_NODE;
        for (const int node : outcome.path)
            add(pass, tree.at(node).token, Origin::draft);
        const Origin own = tree.empty() ? Origin::plain : complete ? Origin::bonus : Origin::correction;
        add(pass, outcome.next, own);
        for (const auto& token : pass.tokens)
            pass.accepted += token.origin == Origin::draft ? 1 : 0;
        if (!pass.tokens.empty()) {
            for (auto* drafter : usable_)
                drafter->emitted(tokens_, static_cast<int>(pass.tokens.size()));
        }
        // A plain pass that only found the end has nothing to tell.
        if (!pass.tokens.empty() || pass.drafted > 0) events_.on_pass(pass);
        if (!finished_ && emitted_ >= job_.max_tokens) finish(FinishReason::max_tokens);
    }

    void add(Pass& pass, int32_t token, Origin origin) {
        if (finished_) return;
        if (target_.vocabulary().ends_generation(token)) return finish(FinishReason::end_of_text);
        pass.tokens.push_back({token, origin, target_.vocabulary().piece(token)});
        tokens_.push_back(token);
        ++emitted_;
    }

    Decoder& decoder_;
    Target& target_;
    const Job& job_;
    const JobEvents& events_;
    Sampler sampler_;
    Rng rng_;
    /** Prompt and emitted tokens. */
    std::vector<int32_t> tokens_;
    std::vector<Drafter*> usable_;
    /** Drafter of the running pass. */
    Drafter* active_ = nullptr;
    int emitted_ = 0;
    bool finished_ = false;
    FinishReason reason_ = FinishReason::max_tokens;
};

Decoder::Decoder(Target& target, std::vector<std::unique_ptr<Drafter>>& drafters, Controller& controller, Clock clock)
    : target_(target), drafters_(drafters), controller_(controller), clock_(std::move(clock)) {}

FinishReason Decoder::run(const Job& job, const JobEvents& events) {
    return Run(*this, job, events)();
}

} // namespace specdiff

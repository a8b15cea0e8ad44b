#include "decoder.h"

#include "accept_greedy.h"
#include "error.h"
#include "log.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace specdiff {

namespace {

/** An occurrence in what was just written counts as so many in the texts that came with the drafter. */
constexpr int OWN_WEIGHT = 2;
/** Slots of a block, and of a drafter that may take up to as many steps, at least. */
constexpr int LEAST_SLOTS = 3;
constexpr int LEAST_DENOISED = 4;

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
        if (target_.model().can_roll_back()) choose_drafters();
    }

    FinishReason operator()() {
        // What is drafted from them goes into the target unseen.
        target_.vocabulary().check(job_.lookup, "lookup text holds");
        target_.vocabulary().check(job_.denoising.suffix, "text behind the cursor holds");
        decoder_.controller_.begin_job();
        if (!job_.remember) decoder_.lookup_.forget_learned();
        try {
            prefill();
            while (!finished_)
                pass();
        } catch (const Cancelled&) {
            reason_ = FinishReason::cancelled;
        }
        if (emitted_ > 0) decoder_.controller_.end_job(emitted_);
        if (job_.remember && emitted_ > 0) remember();
        return reason_;
    }

  private:
    /** What was written, and what stood right before it, so that the place is known again. */
    void remember() {
        const auto kept = std::min(tokens_.size(), static_cast<size_t>(emitted_) + Phrases::LONGEST);
        decoder_.lookup_.learn(tokens_, tokens_.size() - kept, OWN_WEIGHT);
    }

    /** Those that may draft, and those that must see the target's rows for it. */
    void choose_drafters() {
        const auto& all = decoder_.drafters_;
        const bool any = job_.drafter == AUTO_DRAFTER;
        for (const auto& drafter : all) {
            const auto replaces = [&](const auto& other) { return other->part() == drafter.get(); };
            const bool replaced = any && std::any_of(all.begin(), all.end(), replaces);
            if (replaced || !(any || job_.drafter == drafter->name())) continue;
            usable_.push_back(drafter.get());
            fed_.push_back(drafter.get());
            if (drafter->part() != nullptr) fed_.push_back(drafter->part());
        }
    }

    void prefill() {
        const double start = decoder_.clock_();
        int reuse_limit = std::numeric_limits<int>::max();
        const int cached = target_.reusable_prefix(job_.prompt);
        for (auto* drafter : fed_)
            reuse_limit = std::min(reuse_limit, drafter->reusable_prefix(cached));
        const auto result = target_.prefill(
            job_.prompt, reuse_limit,
            [&](int kept) {
                for (auto& drafter : decoder_.drafters_)
                    drafter->truncate(kept);
            },
            [&](const TapRows& rows) {
                for (auto* drafter : fed_)
                    drafter->rows(rows);
            });
        if (!usable_.empty()) decoder_.lookup_.start(job_.lookup, job_.prompt);
        for (auto* drafter : fed_)
            drafter->begin();
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

    /** Nodes of the trees to draft; 0 for chains. */
    int tree_nodes() const { return std::min(job_.tree_nodes, target_.tree_nodes()); }

    /** Situation::tree_rows: where drafts are drawn they are chains. */
    int tree_rows() const {
        const bool drawn = !sampler_.greedy() && wants_drawn_drafts(job_.acceptance);
        return drawn || tree_nodes() == 0 ? 0 : tree_nodes() + 1;
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
        const Situation situation{job_.drafter == AUTO_DRAFTER, sampler_.greedy(), target_.cached_tokens(),
                                  target_.last_rows(),          tree_rows(),       target_.keeps_graphs()};
        const Draft drafted = draft(situation, pass, measure);
        const Tree& tree = drafted.tree;

        measure.greedy = situation.greedy;
        measure.context = situation.context;
        measure.last_rows = situation.last_rows;
        const double start = decoder_.clock_();
        const auto want = sampler_.greedy() ? Want::argmax : Want::logits;
        const int own = static_cast<int>(tree.size()) + 1;
        // A refresh is to measure one row.
        const int filled = pass.reason == Reason::refresh ? own : decoder_.controller_.filled(own, situation);
        const PassRows& rows = target_.verify(tokens_.back(), tree, want, filled);
        measure.target_ms = decoder_.clock_() - start;
        measure.rows = pass.rows = target_.evaluated();
        SampledRows view(rows, sampler_, tokens_);
        const Outcome outcome = rule()(tree, view, rng_);

        measure.drafted = tree.depth();
        measure.nodes = static_cast<int>(tree.size());
        measure.accepted = static_cast<int>(outcome.path.size());
        const auto committed = target_.commit(before_end(tree, outcome));
        for (auto* drafter : fed_)
            drafter->rows(committed);
        pass.verify_ms = decoder_.clock_() - start;
        measure.tested = tested(drafted, outcome);
        for (const int node : outcome.path)
            measure.emitted.push_back(tree.at(node).token);
        measure.emitted.push_back(outcome.next);
        decoder_.controller_.observe(measure);
        if (active_ != nullptr) active_->observe({measure.drafted, measure.accepted});
        emit(pass, tree, outcome);
    }

    /** The nodes below the root and below what was accepted: of siblings one is what the target emits, at most. */
    static std::vector<Tested> tested(const Draft& draft, const Outcome& outcome) {
        const auto accepted = [&](int node) {
            return std::find(outcome.path.begin(), outcome.path.end(), node) != outcome.path.end();
        };
        std::vector<Tested> tests;
        for (int node = 0; node < static_cast<int>(draft.judged.size()); ++node) {
            const int parent = draft.tree.at(node).parent;
            if (parent == ROOT || accepted(parent))
                tests.push_back({draft.judged[static_cast<size_t>(node)], accepted(node)});
        }
        return tests;
    }

    /** Lets the controller plan and the chosen drafter draft; an empty tree is a plain pass. */
    Draft draft(const Situation& situation, Pass& pass, PassMeasure& measure) {
        active_ = nullptr;
        if (usable_.empty()) return {};
        const double start = decoder_.clock_();
        const DraftContext context{tokens_,
                                   decoder_.lookup_,
                                   job_.sampling.temperature,
                                   rng_,
                                   wants_drawn_drafts(job_.acceptance),
                                   wants_step_rows(job_.acceptance),
                                   job_.denoising};
        std::vector<Candidate> candidates;
        std::vector<Drafter*> drafters;
        look_round(context, candidates, drafters);
        const bool fixed = !situation.plain_allowed;
        Plan plan;
        if (fixed && job_.draft_length > 0 && candidates.size() == 1) {
            plan = {0, candidates.front().max_length, Reason::wanted, 1, 1};
        } else {
            plan = decoder_.controller_.next(candidates, situation);
        }
        pass.reason = plan.reason;
        pass.expected_tokens = plan.expected_tokens;
        Draft draft;
        if (plan.candidate != Plan::PLAIN) {
            const auto chosen = static_cast<size_t>(plan.candidate);
            const bool exactly = fixed && job_.draft_length > 0;
            // A trial that verified nothing would teach nothing.
            const bool may_be_empty = situation.plain_allowed && plan.reason != Reason::trial;
            Situation moment = situation;
            moment.plain_allowed = may_be_empty;
            const Controller::Cut cut(decoder_.controller_, moment, candidates[chosen].drafter);
            const double begun = decoder_.clock_();
            const auto* judge = exactly ? nullptr : &cut;
            const int slots =
                exactly ? 0 : decoder_.controller_.slots(candidates[chosen].drafter, LEAST_SLOTS, plan.length);
            draft = drafted(*drafters[chosen], context,
                            {plan.length, judge, tree_nodes(), candidates[chosen].steps, slots});
            measure.draft_ms = decoder_.clock_() - begun;
            measure.drafter = candidates[chosen].drafter;
            measure.outlook = candidates[chosen].outlook;
            measure.free = candidates[chosen].free;
            measure.sequential = candidates[chosen].sequential;
            measure.steps = candidates[chosen].steps;
            pass.denoising_steps = draft.steps;
            if (!draft.tree.empty()) {
                active_ = drafters[chosen];
                pass.drafter = measure.drafter;
            }
        }
        pass.draft_ms = decoder_.clock_() - start;
        return draft;
    }

    /** The numbers of steps T that a drafter may take; 0 for one that takes none. */
    std::vector<int> step_choices(const Drafter& drafter, int slots) const {
        if (!drafter.denoises()) return {0};
        if (job_.denoising.steps > 0) return {job_.denoising.steps};
        return Controller::step_choices(slots);
    }

    /** Who could draft now; free drafts are also noted to be judged by the text that comes. */
    void look_round(const DraftContext& context, std::vector<Candidate>& candidates, std::vector<Drafter*>& drafters) {
        for (auto* drafter : usable_) {
            int most = std::min(room() - 1, drafter->max_draft_length());
            if (job_.draft_length > 0) most = std::min(most, job_.draft_length);
            const auto outlook = most > 0 ? drafter->outlook(context) : std::nullopt;
            if (!outlook) continue;
            const bool wanted = job_.draft_length > 0 && job_.drafter != AUTO_DRAFTER;
            if (drafter->denoises() && !wanted)
                most = decoder_.controller_.slots(drafter->name(), LEAST_DENOISED, most);
            for (const int steps : step_choices(*drafter, most)) {
                candidates.push_back({drafter->name(), *outlook, most, drafter->free(), drafter->sequential(), steps});
                drafters.push_back(drafter);
            }
            if (!drafter->free()) continue;
            std::vector<int32_t> tokens;
            for (const auto& node : drafter->propose(context, {drafter->max_draft_length(), nullptr}).tree.nodes)
                tokens.push_back(node.token);
            decoder_.controller_.foresee(candidates.back(), std::move(tokens));
        }
    }

    Draft drafted(Drafter& drafter, const DraftContext& context, const Budget& budget) {
        try {
            return drafter.propose(context, budget);
        } catch (const Cancelled&) {
            throw;
        } catch (const std::exception& error) { // memory that runs short, too
            log(LogLevel::error, "drafter " + drafter.name() + " stopped for this job: " + error.what());
            usable_.erase(std::remove(usable_.begin(), usable_.end(), &drafter), usable_.end());
            return {};
        }
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
        if (!usable_.empty()) decoder_.lookup_.append_last(tokens_, static_cast<int>(pass.tokens.size()));
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
    std::vector<Drafter*> fed_;
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

#pragma once

#include "cost_model.h"
#include "drafter.h"
#include "hindsight.h"
#include "survival.h"

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace specdiff {

/** A drafter that could draft now. */
struct Candidate {
    std::string drafter;
    Outlook outlook;
    /** Most tokens it may draft in this pass. */
    int max_length = 0;
    /** Drafter::free() and sequential(). */
    bool free = false;
    bool sequential = false;
    /** T of a drafter that denoises, which is a candidate for each T that it may take; 0 for the others. */
    int steps = 0;
};

/** What a plan needs to know of the moment. */
struct Situation {
    /** False keeps to drafting where a candidate is there (a drafter chosen by the user). */
    bool plain_allowed = true;
    bool greedy = true;
    /** Tokens in the target's cache. */
    int context = 0;
    /** Rows of the target's last pass, all with logits; 0 where another kind of pass came before. */
    int last_rows = 0;
    /** Rows of a pass over a whole tree, where trees may be drafted; 0 where only chains are. */
    int tree_rows = 0;
    /** Target::keeps_graphs(): nothing is filled up then. */
    bool keeps_graphs = false;
};

/** Why a pass does what it does. */
enum class Reason {
    /** Nobody had a draft, or none was wanted. */
    nothing,
    /** No draft is worth its time now. */
    plain,
    /** This draft promises the most. */
    best,
    /** It looks worse than the best, but is known too little; paid from what the ledger allows. */
    trial,
    /** c(1) must not grow stale. */
    refresh,
    /** The user asked for this drafter or length. */
    wanted,
};

/** The word for it in telemetry and --json. */
const char* name_of(Reason reason);

/** What the next pass should do. */
struct Plan {
    /** Index of the candidate; PLAIN for a pass without a draft. */
    int candidate = PLAIN;
    /** γ: the most that may be drafted. */
    int length = 0;
    Reason reason = Reason::nothing;
    /** Tokens it is expected to emit, and its time in one-row passes. */
    double expected_tokens = 1;
    double expected_cost = 1;

    static constexpr int PLAIN = -1;
};

/** A drafted token, by what it was judged by. */
struct Tested {
    Slot slot;
    bool accepted = false;
};

/** What a pass cost and gained. */
struct PassMeasure {
    std::string drafter; // empty for a plain pass
    Outlook outlook;
    bool free = false;
    bool sequential = false;
    /** As in Candidate. */
    int steps = 0;
    bool greedy = true;
    int context = 0;
    /** Rows of the target's pass before, as in Situation. */
    int last_rows = 0;
    int drafted = 0;
    int accepted = 0;
    /** Rows of the target's pass: the root's, those of what was drafted, and what filled it up. */
    int rows = 1;
    /** Of a tree, where `drafted` is its longest path; 0 for a chain. */
    int nodes = 0;
    double draft_ms = 0;
    /** Time of the target's pass over all drafted tokens and the root. */
    double target_ms = 0;
    /** Tokens of the pass in order, the target's own last. */
    std::vector<int32_t> emitted;
    /** Drafted tokens that were put to the test: all before them on their path were right. */
    std::vector<Tested> tested;
};

/**
 * Chooses drafter and γ for the next pass, from what passes on this machine cost and gained so far; a plain pass is
 * always among the arms. It has no clock of its own: times come in with the measures, so equal measures give equal
 * plans.
 *
 * With a_i the chance that place i is accepted where those before it were, a pass of γ emits
 * E(γ) = 1 + Σ_{i ≤ γ} Π_{j ≤ i} a_j tokens (Leviathan et al., arXiv 2211.17192, equation 1, for a that varies by
 * place) and takes c(γ + 1) + d. What counts is the whole text's speed g, in tokens a one-row pass, so a pass is worth
 * E − g · (c + d): a further row is taken while the chance that it is reached and right is above g · Δc. (The ratio
 * E ÷ (c + d) of one pass alone would cut promising drafts short and let poor ones run on.)
 *
 * A drafter that denoises is tried with every number of steps T, as if each were a drafter of its own; a T that was not
 * tried yet is taken to do as well as the T that is known best, in a time that grows with T. How many slots it denoises
 * follows the ends of its last drafts, since every slot takes time in every step.
 *
 * Free drafts (lookup) are learned from hindsight, so that no pass is lost on trying them. Others are tried only as far
 * as a ledger allows: a small share of the time spent, and of what drafting has gained.
 */
class Controller {
  public:
    Controller();
    void begin_job();
    void end_job(int tokens);

    Plan next(const std::vector<Candidate>& candidates, const Situation& situation);
    /** The numbers of steps T that are tried where a draft may have `slots` slots. */
    static std::vector<int> step_choices(int slots);
    /** How many slots a drafter should denoise now, `least` to `most`: some more than its last drafts had tokens. */
    int slots(const std::string& drafter, int least, int most) const;
    /**
     * How many rows a pass of `rows` should have: as many as the last one where that costs less than another
     * shape's graph, and a whole tree's from the first. What fills it up is thrown away.
     */
    int filled(int rows, const Situation& situation) const;
    /** What a free drafter would draft now, chosen or not. */
    void foresee(const Candidate& candidate, std::vector<int32_t> tokens);
    void observe(const PassMeasure& pass);

    /** Where the drafts of this moment should end. */
    class Cut : public Judge {
      public:
        Cut(const Controller& controller, Situation situation, std::string drafter)
            : controller_(controller), situation_(situation), drafter_(std::move(drafter)) {}
        double chance(const Slot& slot) const override;
        int length(const std::vector<Slot>& slots) const override;
        Prefix prefix(const std::vector<double>& chances) const override;
        bool worth(double path, int drafted, int steps) const override;

      private:
        const Controller& controller_;
        Situation situation_;
        std::string drafter_;
    };

    /** Time of a one-row pass now; 0 while none was measured. */
    double plain_ms() const { return costs_.slowness_ms(); }
    CostModel& costs() { return costs_; }
    /** A draft of `drafter`, of so many steps, took this long with nothing to catch up on: a first estimate. */
    void calibrate_draft(const std::string& drafter, int steps, double ms);
    /**
     * Chances that the first place of `drafter`'s drafts is accepted, the first two, … as its file has them: what is
     * thought of it in greedy jobs until it was tried, where trying is dear. (On a CPU it brought nothing; told the
     * same of sampled jobs, auto lost 11 and 17 % where it loses 4 and 8.) Not part of state().
     */
    void expect(const std::string& drafter, std::vector<double> reached);

    /** Everything learned, as text. */
    std::string state() const;
    /** Takes over what state() gave; false where it can't be read, and then nothing is taken. */
    bool restore(const std::string& state);

  private:
    static constexpr int ROWS_TOGETHER = 8;
    /**
     * A drafter's time, in one-row passes: of a draft (a sequential drafter: of a token), of a row to catch up on, and
     * what a drafted pass takes longer than its parts, measured by themselves.
     */
    struct DraftCost {
        double each = 0;
        double row = 0;
        double more = 0;
        double each_weight = 0;
        double row_weight = 0;
        double more_weight = 0;
    };
    /** What passes of a drafter brought and took, rows to catch up on left out. */
    struct Experience {
        double tokens = 0;
        double cost = 0;
        double weight = 0;
        /** Number of the pass that it was last added to. */
        long seen = 0;
        void add(double more_tokens, double more_cost, long pass);
    };
    struct Value {
        int length = 0;
        double tokens = 1;
        double cost = 1;
        double worth = 0;
        /** What the estimate rests on. */
        double weight = 0;
        /** The cost without rows to catch up on and changes of rows; its part of those changes. */
        double own = 0;
        double changes = 0;
        /** One-row passes lost if it goes no better than expected and never comes again. */
        double risk = 0;
    };
    /** Of the pass that is planned and not over. */
    struct Moment {
        /** By what pays, not by the user. */
        bool chosen = false;
        /** A trial or a refresh. */
        bool forced = false;
        /** A trial's Value::own; 0 where it is none. */
        double trial_cost = 0;
    };
    /** Passes of one text in a row that have the same number of rows. */
    struct Run {
        int rows = 0;
        int passes = 0;
        int drafted = 0;
        /** It began with a forced pass; the user wanted it. */
        bool forced = false;
        bool wanted = false;
        /** One-row passes lost on it against plain decoding. */
        double loss = 0;
        /** One-row passes that filling up took since a pass needed as many rows, or nearly. */
        double excess = 0;
    };
    /** A drafter and its T. */
    using Way = std::pair<std::string, int>;
    /** A way, the outlook's class, greedy. */
    using ArmKey = std::tuple<std::string, int, int, bool>;

    double rate() const;
    double goes_on() const;
    DraftCost draft_cost(const Way& way) const;
    Experience first_guess(const Candidate& candidate, const Situation& situation) const;
    double remaining_passes() const;
    Value free_value(const Candidate& candidate, const Situation& situation) const;
    bool given_up() const;
    double change_cost() const;
    bool dear_change() const;
    size_t run_class(int rows) const;
    double run_of(int rows) const;
    double stay(int rows, double tokens) const;
    double planned_cost(int rows, const Situation& situation) const;
    Value paid_value(const Candidate& candidate, const Situation& situation) const;
    double refresh_after(const Candidate& candidate, double loss) const;
    double whole_cost(const PassMeasure& pass, double parts);
    void book_run(bool cut_off);
    void follow_run(const PassMeasure& pass, const Moment& moment, bool switched);
    void learn_draft_cost(const PassMeasure& pass, double slowness);

    CostModel costs_;
    Survival survival_;
    Hindsight hindsight_;
    std::map<Way, DraftCost> drafts_;
    std::map<std::string, std::vector<double>> expected_;
    /** Tokens that a drafter's last drafts had, the longest of them fading. */
    std::map<std::string, double> reach_;
    std::map<ArmKey, Experience> arms_;
    /** Tokens and time of late, for g. */
    double recent_tokens_ = 0;
    double recent_cost_ = 0;
    /** One-row passes that may still be lost on trials. */
    double ledger_ = 0;
    double job_tokens_ = 24;
    Moment moment_;
    int emitted_ = 0;
    int since_plain_ = 0;
    /** Plain passes that a refresh still takes. */
    int refreshing_ = 0;
    /** Passes so far. */
    long passes_ = 0;
    Run run_;
    /** Of late: passes in a row that have one row; drafted ones in a row of passes of up to 8, 16, … rows. */
    std::array<double, 1 + CostModel::MAX_ROWS / ROWS_TOGETHER> runs_{};
    /** How many changes of rows filling up may lose. */
    double patience_ = 2;
};

} // namespace specdiff

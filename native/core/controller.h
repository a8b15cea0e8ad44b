#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace specdiff {

/** A drafter that could draft now. */
struct Candidate {
    std::string drafter;
    /** Drafter::outlook(). */
    int outlook = 0;
    /** Most tokens it may draft in this pass. */
    int max_length = 0;
};

/** What the next pass should do. */
struct Plan {
    /** Index of the candidate; PLAIN for a pass without a draft. */
    int candidate = -1;
    /** γ. */
    int length = 0;

    static constexpr int PLAIN = -1;
};

/** What a pass cost and gained. */
struct PassMeasure {
    std::string drafter; // empty for a plain pass
    int outlook = 0;
    int drafted = 0;
    int accepted = 0;
    /** Of a tree, where `drafted` is its longest path; 0 for a chain. */
    int nodes = 0;
    double draft_ms = 0;
    /** Time of the target's pass over all drafted tokens and the root. */
    double target_ms = 0;
};

/**
 * Chooses drafter and γ so that the next pass emits the most tokens a millisecond, from what passes on this machine
 * cost and gained so far; a plain pass is always among the arms. It has no clock of its own: times come in with the
 * measures, so equal measures give equal plans.
 *
 * With a_i the chance that position i is accepted where those before it were, a pass of γ emits
 * E(γ) = 1 + Σ_{i ≤ γ} Π_{j ≤ i} a_j tokens (Leviathan et al., arXiv 2211.17192, equation 1, for a that varies by
 * position) and takes c(γ + 1) + d; the arm with the greatest E ÷ time wins.
 */
class Controller {
  public:
    /** `plain_allowed`: false keeps to drafting where a candidate is there (a drafter chosen by the user). */
    Plan next(const std::vector<Candidate>& candidates, bool plain_allowed);
    void observe(const PassMeasure& pass);

    /** Running estimate of a one-row pass's time; 0 while none was measured. */
    double plain_ms() const { return rows_[1].ms; }

  private:
    static constexpr int MAX_ROWS = 64;

    struct Mean {
        double ms = 0;
        int count = 0;
        void add(double value);
    };
    /** Acceptance by position, forgetting slowly. */
    struct Survival {
        std::array<double, MAX_ROWS> tested{};
        std::array<double, MAX_ROWS> passed{};
        double chance(int position) const;
    };
    /** One drafter in one outlook. */
    struct Arm {
        Survival survival;
        /** Decisions since it last drafted, and how many it waits before it is tried although it looks worse. */
        int idle = 0;
        int patience = FIRST_PATIENCE;
    };
    struct Score {
        int length = 0;
        double tokens_per_ms = 0;
    };

    static constexpr int FIRST_PATIENCE = 8;
    static constexpr int MOST_PATIENCE = 1024;
    static constexpr int PLAIN_REFRESH = 64;

    double pass_ms(int rows) const;
    double draft_ms(const std::string& drafter) const;
    Score best_length(const Candidate& candidate) const;
    Arm& arm(const Candidate& candidate) { return arms_[{candidate.drafter, candidate.outlook}]; }

    std::array<Mean, MAX_ROWS + 1> rows_{};
    std::map<std::string, Mean> drafts_;
    std::map<std::pair<std::string, int>, Arm> arms_;
    int since_plain_ = 0;
};

} // namespace specdiff

#include "controller.h"

#include <algorithm>

namespace specdiff {

namespace {

/** Weight of the newest time in the running mean. */
constexpr double TIME_WEIGHT = 0.2;
/** A busy neighbour can make one pass many times slower: one time counts at most this much of the mean. */
constexpr double OUTLIER = 3.0;
/** What an old test of acceptance still weighs when a new one comes. */
constexpr double ACCEPTANCE_MEMORY = 0.95;
/** Before anything was measured: hopeful, so that every arm is tried, and light, so that it is soon corrected. */
constexpr double PRIOR_CHANCE = 0.8;
constexpr double PRIOR_WEIGHT = 1.0;
/** Growth of a pass's time a row before it was measured, relative to one row. */
constexpr double PRIOR_ROW_COST = 0.1;
/** A trial doubles the wait for the next one; a draft accepted whole divides it by this, so that half of them must
 * fail. */
constexpr int PATIENCE_BACK = 4;

} // namespace

void Controller::Mean::add(double value) {
    if (count == 0) {
        ms = value;
    } else {
        // The first values replace each other quickly: pages and caches were cold.
        const double weight = std::max(TIME_WEIGHT, 1.0 / (count + 1));
        ms += weight * (std::min(value, OUTLIER * ms) - ms);
    }
    ++count;
}

double Controller::Survival::chance(int position) const {
    const auto i = static_cast<size_t>(position);
    // An untested position is judged by the one before it.
    const double prior = position > 0 ? chance(position - 1) : PRIOR_CHANCE;
    return (passed[i] + PRIOR_WEIGHT * prior) / (tested[i] + PRIOR_WEIGHT);
}

/** c(n): measured, else between its measured neighbours, else extrapolated; never less than for fewer rows. */
double Controller::pass_ms(int rows) const {
    int below = 0;
    int above = 0;
    for (int n = rows; n >= 1 && below == 0; --n) {
        if (rows_[static_cast<size_t>(n)].count > 0) below = n;
    }
    for (int n = rows; n <= MAX_ROWS && above == 0; ++n) {
        if (rows_[static_cast<size_t>(n)].count > 0) above = n;
    }
    if (below == 0 && above == 0) return 1 + PRIOR_ROW_COST * (rows - 1);
    if (below == 0) {
        const double per_row = 1 + PRIOR_ROW_COST * (above - 1);
        return rows_[static_cast<size_t>(above)].ms * (1 + PRIOR_ROW_COST * (rows - 1)) / per_row;
    }
    const double low = rows_[static_cast<size_t>(below)].ms;
    if (below == rows) return low;
    if (above == 0) {
        const double base = plain_ms() > 0 ? plain_ms() : low;
        return low + PRIOR_ROW_COST * base * (rows - below);
    }
    const double high = std::max(low, rows_[static_cast<size_t>(above)].ms);
    return low + (high - low) * (rows - below) / (above - below);
}

double Controller::draft_ms(const std::string& drafter) const {
    const auto found = drafts_.find(drafter);
    return found == drafts_.end() ? 0 : found->second.ms;
}

Controller::Score Controller::best_length(const Candidate& candidate) const {
    const auto found = arms_.find({candidate.drafter, candidate.outlook});
    static const Survival untried{};
    const Survival& survival = found == arms_.end() ? untried : found->second.survival;
    const double draft = draft_ms(candidate.drafter);
    Score best;
    double path = 1;
    double tokens = 1;
    const int longest = std::min(candidate.max_length, MAX_ROWS - 1);
    for (int length = 1; length <= longest; ++length) {
        path *= survival.chance(length - 1);
        tokens += path;
        const double value = tokens / (pass_ms(length + 1) + draft);
        if (value > best.tokens_per_ms) best = {length, value};
    }
    return best;
}

Plan Controller::next(const std::vector<Candidate>& candidates, bool plain_allowed) {
    Plan plan;
    double best = plain_allowed ? 1 / pass_ms(1) : 0;
    std::vector<Score> scores;
    for (size_t i = 0; i < candidates.size(); ++i) {
        scores.push_back(best_length(candidates[i]));
        if (scores[i].length > 0 && scores[i].tokens_per_ms > best) {
            best = scores[i].tokens_per_ms;
            plan = {static_cast<int>(i), scores[i].length};
        }
    }

    if (plan.candidate != Plan::PLAIN) arm(candidates[static_cast<size_t>(plan.candidate)]).patience = FIRST_PATIENCE;

    // What isn't the best now may have become it: each arm is tried again after a while, ever more rarely if it keeps
    // losing.
    for (size_t i = 0; i < candidates.size(); ++i) {
        Arm& other = arm(candidates[i]);
        if (static_cast<int>(i) == plan.candidate || scores[i].length == 0) continue;
        if (++other.idle < other.patience) continue;
        other.patience = std::min(2 * other.patience, MOST_PATIENCE);
        plan = {static_cast<int>(i), scores[i].length};
        break;
    }
    if (plan.candidate != Plan::PLAIN) {
        Arm& chosen = arm(candidates[static_cast<size_t>(plan.candidate)]);
        chosen.idle = 0;
        // c(1) is what everything is compared with, so it must not grow stale.
        if (plain_allowed && ++since_plain_ >= PLAIN_REFRESH) plan = {};
    }
    if (plan.candidate == Plan::PLAIN) since_plain_ = 0;
    return plan;
}

void Controller::observe(const PassMeasure& pass) {
    const auto rows = static_cast<size_t>(std::clamp(std::max(pass.drafted, pass.nodes) + 1, 1, MAX_ROWS));
    rows_[rows].add(pass.target_ms);
    if (pass.drafter.empty()) return;
    drafts_[pass.drafter].add(pass.draft_ms);
    Arm& arm = arms_[{pass.drafter, pass.outlook}];
    const int tested = std::min(pass.accepted + 1, pass.drafted);
    for (int i = 0; i < tested; ++i) {
        const auto position = static_cast<size_t>(i);
        arm.survival.tested[position] = arm.survival.tested[position] * ACCEPTANCE_MEMORY + 1;
        arm.survival.passed[position] = arm.survival.passed[position] * ACCEPTANCE_MEMORY + (i < pass.accepted ? 1 : 0);
    }
    if (pass.accepted == pass.drafted) arm.patience = std::max(arm.patience / PATIENCE_BACK, FIRST_PATIENCE);
}

} // namespace specdiff

#include "controller.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <locale>
#include <sstream>
#include <utility>

namespace specdiff {

namespace {

/** What an old pass still weighs in g, and in what an arm brought, when a new one comes. */
constexpr double RATE_MEMORY = 0.98;
constexpr double ARM_MEMORY = 0.99;
/** Passes that g starts from at plain decoding's speed. */
constexpr double RATE_PRIOR = 20;
/** Before a drafter was tried: tokens a pass, rows of the target, and passes that this guess counts as. */
constexpr double PRIOR_TOKENS = 1.5;
constexpr int PRIOR_ROWS = 3;
constexpr double PRIOR_WEIGHT = 2;
/**
 * What a drafter's file says counts as so many; its passes are taken to take so much more than their parts, which is
 * only measured later (7 to 29 % on Emerald Rapids).
 */
constexpr double EXPECTED_WEIGHT = 6;
constexpr double EXPECTED_COST = 1.2;
/** A class leans on the drafter's other classes like on so many passes. */
constexpr double CLASS_PRIOR_WEIGHT = 4;
/** A draft and a row to catch up on before they were measured, in one-row passes. */
constexpr double PRIOR_DRAFT = 0.3;
constexpr double PRIOR_PENDING_ROW = 0.02;
/** Drafts that catch up on at most so many rows tell what a draft takes; others what a row takes. */
constexpr int FEW_ROWS = 9;
constexpr double DRAFT_COST_WEIGHT = 0.1;
constexpr double MOST_MORE_WEIGHT = 64;
constexpr double OUTLIER = 2.0;
/** A pass counts at most as this many times dearer or cheaper than its parts are taken to be. */
constexpr double COST_OUTLIER = 1.5;
/** Spread of a pass's tokens, for how much better than its mean an arm may be. */
constexpr double SPREAD = 1.5;
/** After so many passes without a try, what is known of an arm counts half. */
constexpr double AGE = 200;
/** What may be lost on trials: this part of the time and of what drafting gains (or loses), saved up to so much. */
constexpr double TRIAL_SHARE = 0.015;
constexpr double TRIAL_GAIN = 0.1;
constexpr double MOST_SAVED = 16;
constexpr double RUN_WEIGHT = 0.2;
constexpr double LONGEST_RUN = 64;
/** Runs of one row or few, and of more, before any was seen. */
constexpr double FIRST_RUN = 32;
constexpr double FIRST_LONG_RUN = 4;
/**
 * Passes are filled up where another number of rows costs at least so many one-row passes (0.2 to 0.4 on CPUs where
 * graphs are not kept), and until that has cost as much as changing there and back; less where that was in vain before,
 * down to this.
 */
constexpr double DEAR_SWITCH = 1.5;
constexpr double MOST_PATIENCE = 2;
constexpr double LEAST_PATIENCE = 0.1;
/**
 * Shorter drafts are filled up until that has taken this much of a change, since a draft that needed all the rows, or
 * all but so much of a pass.
 */
constexpr double FILLED_SHARE = 0.3;
constexpr double LEAST_EXCESS = 0.3;
/**
 * Passes without settled plain ones between them: at most, at least, and at first, until what they take is known beside
 * those; but so many for each one-row pass that a change of rows takes. A refresh is as many plain passes as settle,
 * and two; it may lose this share of the tokens. The less drafts gain, the more often they are compared: what a row
 * costs changes with what the neighbours of a virtual machine do (1.12 to 1.49 for two rows within minutes, Emerald
 * Rapids).
 */
constexpr double REFRESH_SHARE = 0.015;
constexpr double LEAST_REFRESH = 32;
constexpr double PLAIN_REFRESH = 256;
constexpr double FIRST_REFRESH = 8;
constexpr double REFRESH_GROWTH = 4;
constexpr double REFRESH_CHANGE = 100;
constexpr int REFRESH_PASSES = CostModel::SETTLED + 2;
constexpr double JOB_WEIGHT = 0.1;
constexpr double SHORTEST_JOB = 4;
constexpr int MOST_ARMS = 4096;
/** No number that was learned is greater: sums fade, and texts are shorter. */
constexpr double MOST_LEARNED = 1e6;
/** Every class of a drafter together. */
constexpr int ANY = -1;
/** Numbers of steps that are tried; the paper finds 4 to 6 best, and more costs more than it can bring. */
constexpr std::array<int, 4> STEP_CHOICES = {1, 2, 4, 8};
/**
 * Slots to denoise: before the first draft and at most, and so many times what the last drafts had. A slot of seven
 * takes 2 to 3 % of a one-row pass (Emerald Rapids); τ with fewer 4.09, with all 4.06.
 */
constexpr int MOST_SLOTS = 16;
constexpr double SLOT_ROOM = 1.25;
constexpr double REACH_MEMORY = 0.7;
const std::string STATE_HEADER = "specdiff-controller-7";

} // namespace

const char* name_of(Reason reason) {
    switch (reason) {
    case Reason::plain:
        return "plain";
    case Reason::best:
        return "best";
    case Reason::trial:
        return "trial";
    case Reason::refresh:
        return "refresh";
    case Reason::wanted:
        return "wanted";
    case Reason::nothing:
        break;
    }
    return "nothing";
}

void Controller::Experience::add(double more_tokens, double more_cost, long pass) {
    seen = pass;
    tokens = tokens * ARM_MEMORY + more_tokens;
    cost = cost * ARM_MEMORY + more_cost;
    weight = weight * ARM_MEMORY + 1;
}

Controller::Controller() {
    runs_.fill(FIRST_LONG_RUN);
    runs_[0] = runs_[1] = FIRST_RUN;
}

void Controller::expect(const std::string& drafter, std::vector<double> reached) {
    expected_[drafter] = std::move(reached);
}

void Controller::begin_job() {
    hindsight_.clear();
    costs_.begin_text();
    emitted_ = 0;
    book_run(true);
    run_ = {};
    moment_ = {};
    refreshing_ = 0;
}

void Controller::end_job(int tokens) {
    job_tokens_ += JOB_WEIGHT * (tokens - job_tokens_);
}

double Controller::rate() const {
    return std::max((recent_tokens_ + RATE_PRIOR) / (recent_cost_ + RATE_PRIOR), 1.0);
}

double Controller::remaining_passes() const {
    return std::max((job_tokens_ - emitted_) / rate(), 1.0);
}

/** What was not measured is guessed from the drafter's other T: each step takes as long as another. */
Controller::DraftCost Controller::draft_cost(const Way& way) const {
    const auto found = drafts_.find(way);
    DraftCost cost = found == drafts_.end() ? DraftCost() : found->second;
    double each = PRIOR_DRAFT;
    double each_weight = 0;
    double row = PRIOR_PENDING_ROW;
    double row_weight = 0;
    for (auto other = drafts_.lower_bound({way.first, 0}); other != drafts_.end(); ++other) {
        const auto& [drafter, steps] = other->first;
        if (drafter != way.first) break;
        if (steps > 0 && other->second.each_weight > each_weight) {
            each = other->second.each * way.second / steps;
            each_weight = other->second.each_weight;
        }
        if (other->second.row_weight > row_weight) {
            row = other->second.row;
            row_weight = other->second.row_weight;
        }
    }
    if (cost.each_weight <= 0) cost.each = each;
    if (cost.row_weight <= 0) cost.row = row;
    return cost;
}

std::vector<int> Controller::step_choices(int slots) {
    std::vector<int> choices;
    std::copy_if(STEP_CHOICES.begin(), STEP_CHOICES.end(), std::back_inserter(choices),
                 [slots](int steps) { return steps == 1 || steps <= slots; });
    return choices;
}

int Controller::slots(const std::string& drafter, int least, int most) const {
    const auto found = reach_.find(drafter);
    const double wanted = found == reach_.end() ? MOST_SLOTS : SLOT_ROOM * found->second + 1;
    return std::min(std::clamp(static_cast<int>(wanted), least, MOST_SLOTS), most);
}

/**
 * Ski rental: filling up goes on until it has lost what going to one row and back would have taken, so it loses at most
 * twice what the best choice in hindsight would have; and where drafts did not come back in time, it gives up sooner.
 * llama.cpp's CUDA backend keeps the graph of a repeated shape; without it a pass of a 135M model takes two to three
 * times as long (H200).
 */
int Controller::filled(int rows, const Situation& situation) const {
    const int last = situation.last_rows;
    const double change = change_cost();
    if (situation.keeps_graphs || !dear_change()) return rows;
    if (rows > 1 && situation.tree_rows <= CostModel::MAX_ROWS) rows = std::max(rows, situation.tree_rows);
    if (rows >= last || last > CostModel::MAX_ROWS) return rows;
    const bool tried = run_.forced && run_.passes == 1 && run_.rows > 1;
    if (tried || given_up()) return rows;
    // Long drafts come seldom: what is drafted next seldom needs their rows.
    if (rows > 1 && run_.excess > FILLED_SHARE * change) return rows;
    return costs_.cost(last, situation.context) <= costs_.cost(rows, situation.context) + change ? last : rows;
}

/** Whether this number of rows has lost, against plain decoding, what changing it twice takes. */
bool Controller::given_up() const {
    return run_.loss > patience_ * change_cost();
}

/** Another number of rows, in all. */
double Controller::change_cost() const {
    return costs_.unsettled(0) + costs_.unsettled(1);
}

/** Whether the number of rows is something to stay with. */
bool Controller::dear_change() const {
    return change_cost() >= DEAR_SWITCH;
}

/** Where the number of rows is nothing to stay with, all drafts are alike. */
size_t Controller::run_class(int rows) const {
    if (rows <= 1) return 0;
    const auto index = static_cast<size_t>((rows + ROWS_TOGETHER - 1) / ROWS_TOGETHER);
    return dear_change() ? std::min(index, runs_.size() - 1) : 1;
}

/** How many passes in a row have so many rows; more rows never look like longer runs than fewer do. */
double Controller::run_of(int rows) const {
    if (rows <= 1) return std::clamp(runs_.front(), 1.0, LONGEST_RUN);
    const auto end = runs_.begin() + static_cast<std::ptrdiff_t>(run_class(rows)) + 1;
    return std::clamp(*std::min_element(runs_.begin() + 1, end), 1.0, LONGEST_RUN);
}

/**
 * The same for what can be stayed with, plain decoding and drafters that always draft: where changes are dear, for the
 * rest of the text, at so many tokens a pass. What was short before would never be long otherwise.
 */
double Controller::stay(int rows, double tokens) const {
    const double run = run_of(rows);
    return dear_change() ? std::clamp((job_tokens_ - emitted_) / tokens, run, LONGEST_RUN) : run;
}

/**
 * A target pass that is planned, in one-row passes: the new number of rows stays for some, and each has its part of the
 * change. Charged to one pass, it would keep a losing plan going, and a winning one from being begun, where it costs
 * more than a pass (six on a GPU that keeps the graph of a repeated shape). Who leaves plain decoding comes back to it
 * at the end of a run of drafts, and a chain to a number of rows that is dear to leave: they pay for both changes.
 */
double Controller::planned_cost(int rows, const Situation& situation) const {
    const int all = filled(rows, situation);
    const double cost = costs_.cost(all, situation.context);
    if (all == situation.last_rows) return cost;
    if (all == 1) return cost + change_cost() / (given_up() ? stay(1, 1) : run_of(1));
    const bool returns = situation.last_rows <= 1 || dear_change();
    return cost + (returns ? 2 : 1) * change_cost() / run_of(all);
}

/** A text ends somewhere: what is drafted behind its end is lost, however right it would have been. */
double Controller::goes_on() const {
    return 1 - 1 / std::max(job_tokens_, SHORTEST_JOB);
}

double Controller::Cut::chance(const Slot& slot) const {
    return controller_.goes_on() * controller_.survival_.chance(slot, situation_.greedy);
}

int Controller::Cut::length(const std::vector<Slot>& slots) const {
    std::vector<double> paths;
    paths.reserve(slots.size());
    double path = 1;
    for (const auto& slot : slots)
        paths.push_back(path *= chance(slot));
    return prefix(paths).nodes;
}

Judge::Prefix Controller::Cut::prefix(const std::vector<double>& chances) const {
    const double rate = controller_.rate();
    const double plain = controller_.planned_cost(1, situation_);
    // Rows that are at hand, where others are dear: they take a longer chain, too, piece by piece. (H200, 31 drafted
    // tokens that are all right: four passes of 8 rows 7.5 ms, one of 32 with the changes there and back 24.)
    const bool stays = controller_.dear_change() && situation_.last_rows > 1;
    const int at_hand = stays ? situation_.last_rows : std::numeric_limits<int>::max();
    const double piece = controller_.costs_.cost(at_hand, situation_.context);
    double pieces = piece;
    double gain = 0;
    Prefix best;
    for (int i = 0; i < static_cast<int>(chances.size()); ++i) {
        const double reached = chances[static_cast<size_t>(i)];
        gain += reached;
        const double cost = controller_.planned_cost(i + 2, situation_);
        if ((i + 1) % at_hand == 0) pieces += reached * piece;
        if (i + 2 > at_hand && cost >= pieces) continue;
        const double worth = gain - rate * (cost - plain);
        if (worth > best.worth || (i == 0 && !situation_.plain_allowed)) best = {i + 1, worth};
    }
    return best;
}

bool Controller::Cut::worth(double path, int drafted, int steps) const {
    if (drafted == 0 && !situation_.plain_allowed) return true;
    const double row =
        controller_.planned_cost(drafted + 2, situation_) - controller_.planned_cost(drafted + 1, situation_);
    return path > controller_.rate() * (row + steps * controller_.draft_cost({drafter_, 0}).each);
}

/** The best prefix of a draft that costs nothing, by its class alone. */
Controller::Value Controller::free_value(const Candidate& candidate, const Situation& situation) const {
    std::vector<Slot> slots;
    const int longest = std::min(candidate.max_length, CostModel::MAX_ROWS - 1);
    slots.reserve(static_cast<size_t>(std::max(longest, 0)));
    for (int i = 0; i < longest; ++i)
        slots.push_back({candidate.drafter, candidate.outlook.value, i});
    const Cut cut(*this, situation, candidate.drafter);
    Value value;
    value.length = cut.length(slots);
    double path = 1;
    for (int i = 0; i < value.length; ++i) {
        path *= cut.chance(slots[static_cast<size_t>(i)]);
        value.tokens += path;
    }
    value.cost = planned_cost(value.length + 1, situation);
    value.worth = value.tokens - rate() * value.cost;
    return value;
}

/** What is thought of a way of drafting before it was tried. */
Controller::Experience Controller::first_guess(const Candidate& candidate, const Situation& situation) const {
    const double draft = draft_cost({candidate.drafter, candidate.steps}).each;
    Experience guess;
    guess.weight = PRIOR_WEIGHT;
    guess.tokens = PRIOR_WEIGHT * PRIOR_TOKENS;
    guess.cost = PRIOR_WEIGHT *
                 (costs_.cost(PRIOR_ROWS, situation.context) + draft * (candidate.sequential ? PRIOR_ROWS - 1 : 1));
    // Where a try costs little, it tells more.
    const bool told = situation.greedy && (dear_change() || !situation.plain_allowed);
    if (const auto known = expected_.find(candidate.drafter); told && known != expected_.end()) {
        const auto& reached = known->second;
        double tokens = 1;
        double best = -INFINITY;
        for (int i = 0; i < static_cast<int>(reached.size()) && i < candidate.max_length; ++i) {
            tokens += reached[static_cast<size_t>(i)];
            const double cost = EXPECTED_COST * (costs_.cost(i + 2, situation.context) + draft);
            if (tokens - rate() * cost <= best) continue;
            best = tokens - rate() * cost;
            guess = {EXPECTED_WEIGHT * tokens, EXPECTED_WEIGHT * cost, EXPECTED_WEIGHT};
        }
    }
    if (candidate.steps == 0) return guess;
    double most = 0;
    for (const int steps : STEP_CHOICES) {
        const auto known = arms_.find({candidate.drafter, steps, ANY, situation.greedy});
        if (steps == candidate.steps || known == arms_.end() || known->second.weight <= most) continue;
        const Experience& other = known->second;
        most = other.weight;
        guess.tokens = PRIOR_WEIGHT * other.tokens / other.weight;
        const double more = draft - draft_cost({candidate.drafter, steps}).each;
        guess.cost = PRIOR_WEIGHT * (other.cost / other.weight + more);
    }
    return guess;
}

/** A drafter that takes time, by what its passes brought so far. */
Controller::Value Controller::paid_value(const Candidate& candidate, const Situation& situation) const {
    const DraftCost draft = draft_cost({candidate.drafter, candidate.steps});
    Experience guess = first_guess(candidate, situation);
    for (const int value : {ANY, candidate.outlook.value}) {
        const auto found = arms_.find({candidate.drafter, candidate.steps, value, situation.greedy});
        if (found == arms_.end()) continue;
        if (value != ANY) {
            const double lean = std::min(CLASS_PRIOR_WEIGHT / guess.weight, 1.0);
            guess.tokens *= lean;
            guess.cost *= lean;
            guess.weight *= lean;
        }
        guess.tokens += found->second.tokens;
        guess.cost += found->second.cost;
        guess.weight += found->second.weight;
        guess.seen = std::max(guess.seen, found->second.seen);
    }
    Value value;
    value.length = candidate.max_length;
    // Passes count what the target accepted, not where the text ended. Once, though it holds for each place: most
    // drafts get one token right, if any.
    value.tokens = 1 + goes_on() * (guess.tokens / guess.weight - 1);
    // What was long ago may have changed.
    value.weight = guess.weight / (1 + static_cast<double>(passes_ - guess.seen) / AGE);
    const double pending = draft.row * (candidate.outlook.pending_rows > 1 ? candidate.outlook.pending_rows : 0);
    value.own = guess.cost / guess.weight;
    value.cost = value.own + pending / remaining_passes();
    if (situation.last_rows <= 1) {
        value.changes = 2 * change_cost() / stay(2, value.tokens);
        value.cost += value.changes;
    }
    value.worth = value.tokens - rate() * value.cost;
    value.risk = rate() * pending * (1 - 1 / remaining_passes());
    return value;
}

/** How many passes with best drafts may come without settled plain ones, where those lose so many tokens each. */
double Controller::refresh_after(const Candidate& candidate, double loss) const {
    double after = std::clamp(REFRESH_PASSES * loss / REFRESH_SHARE, LEAST_REFRESH, PLAIN_REFRESH);
    if (!candidate.free) {
        const auto known = drafts_.find({candidate.drafter, candidate.steps});
        const double weight = known == drafts_.end() ? 0 : known->second.more_weight;
        after = std::clamp(REFRESH_GROWTH * weight, FIRST_REFRESH, after);
    }
    return std::max(after, REFRESH_CHANGE * change_cost());
}

Plan Controller::next(const std::vector<Candidate>& candidates, const Situation& situation) {
    Plan plan;
    moment_ = {situation.plain_allowed, false, 0};
    if (candidates.empty()) return plan;
    const double plain = 1 - rate() * planned_cost(1, situation);
    double best = situation.plain_allowed ? plain : -INFINITY;
    plan.reason = situation.plain_allowed ? Reason::plain : Reason::wanted;
    std::vector<Value> values;
    const auto take = [&](size_t i, Reason reason) {
        plan = {static_cast<int>(i), values[i].length, reason, values[i].tokens, values[i].cost};
    };
    for (size_t i = 0; i < candidates.size(); ++i) {
        values.push_back(candidates[i].free ? free_value(candidates[i], situation)
                                            : paid_value(candidates[i], situation));
        if (values[i].length < 1 || values[i].worth <= best) continue;
        best = values[i].worth;
        take(i, situation.plain_allowed ? Reason::best : Reason::wanted);
    }
    const auto hope_of = [](const Value& value) { return value.worth + SPREAD / std::sqrt(value.weight); };
    if (!situation.plain_allowed) {
        // The drafter is the user's choice, its T is not: the one that may do best (no ledger, drafting may lose here).
        for (size_t i = 0; i < candidates.size() && plan.candidate != Plan::PLAIN; ++i) {
            if (candidates[i].free || values[i].length < 1) continue;
            const auto& chosen = values[static_cast<size_t>(plan.candidate)];
            if (hope_of(values[i]) > hope_of(chosen)) take(i, Reason::trial);
        }
        return plan;
    }

    const int planned = plan.candidate;
    // Behind a trial the plan is what it was before, and the number of rows has changed twice.
    const bool leaves = planned == Plan::PLAIN && situation.last_rows <= 1;
    double most_hope = best;
    double its_loss = 0;
    for (size_t i = 0; i < candidates.size(); ++i) {
        const Value& value = values[i];
        if (candidates[i].free || value.length < 1 || static_cast<int>(i) == planned) continue;
        const double changes = leaves ? rate() * (2 * change_cost() - value.changes) : 0;
        const double loss = best - value.worth + value.risk + changes;
        if (hope_of(value) <= most_hope || loss > ledger_) continue;
        most_hope = hope_of(value);
        its_loss = loss;
        take(i, Reason::trial);
    }
    ledger_ -= its_loss;
    if (plan.reason == Reason::trial) moment_.trial_cost = values[static_cast<size_t>(plan.candidate)].own;
    // A refresh outlasts the moment: of its plain passes most lose what passes do on average.
    const double loss = std::max(best - plain, rate() - 1);
    if (plan.reason == Reason::best &&
        since_plain_ >= refresh_after(candidates[static_cast<size_t>(plan.candidate)], loss))
        refreshing_ = REFRESH_PASSES;
    if (refreshing_ > 0) {
        --refreshing_;
        plan = {};
        plan.reason = Reason::refresh;
    }
    moment_.forced = plan.reason == Reason::trial || plan.reason == Reason::refresh;
    return plan;
}

void Controller::foresee(const Candidate& candidate, std::vector<int32_t> tokens) {
    hindsight_.foresee(candidate.drafter, candidate.outlook.value, std::move(tokens));
}

void Controller::calibrate_draft(const std::string& drafter, int steps, double ms) {
    if (costs_.slowness_ms() <= 0 || !(ms > 0)) return;
    DraftCost& cost = drafts_[{drafter, steps}];
    cost.each = ms / costs_.slowness_ms();
    cost.each_weight = 1;
}

void Controller::learn_draft_cost(const PassMeasure& pass, double slowness) {
    if (slowness <= 0 || pass.free || !(pass.draft_ms > 0)) return;
    const Way way{pass.drafter, pass.steps};
    const DraftCost known = draft_cost(way);
    DraftCost& cost = drafts_[way];
    const int parts = pass.sequential ? std::max(pass.drafted, 1) : 1;
    const auto learn = [](double& mean, double& weight, double value) {
        // From nothing every value is an outlier, and none would ever count.
        if (weight > 0 && mean > 0) value = std::clamp(value, mean / OUTLIER, mean * OUTLIER);
        weight = std::min(weight + 1, 1 / DRAFT_COST_WEIGHT);
        mean += (value - mean) / weight;
    };
    const double taken = pass.draft_ms / slowness;
    if (pass.outlook.pending_rows <= FEW_ROWS) {
        learn(cost.each, cost.each_weight, taken / parts);
    } else {
        learn(cost.row, cost.row_weight, std::max(taken - known.each * parts, 0.0) / pass.outlook.pending_rows);
    }
}

/**
 * What a drafted pass took, in one-row passes: measured where there are some to compare with. Its parts say too little
 * by a tenth where the drafter's work has driven the target's out of the caches, so where there are none (a drafter
 * that the user chose drafts always) what they lack is added as it was measured.
 */
double Controller::whole_cost(const PassMeasure& pass, double parts) {
    DraftCost& draft = drafts_[{pass.drafter, pass.steps}];
    const double plain = costs_.plain_nearby_ms();
    if (plain <= 0 || pass.outlook.pending_rows > FEW_ROWS) return parts + draft.more;
    const double measured =
        std::clamp((pass.draft_ms + pass.target_ms) / plain, parts / COST_OUTLIER, parts * COST_OUTLIER);
    draft.more_weight = std::min(draft.more_weight + 1, MOST_MORE_WEIGHT);
    draft.more += (measured - parts - draft.more) / draft.more_weight;
    return measured;
}

/** What runs last of late; one that a trial or a refresh made, or the user, tells nothing of those that pay. */
void Controller::book_run(bool cut_off) {
    const int forced = run_.rows > 1 ? 1 : REFRESH_PASSES;
    if (run_.passes == 0 || run_.wanted || (run_.forced && run_.passes <= forced)) return;
    double& length = runs_.at(run_class(run_.rows));
    const double passes = std::max(run_.rows > 1 ? run_.drafted : run_.passes, 1);
    // Where the text ended, it might have gone on.
    if (cut_off && passes < length) return;
    // Of factors, since a long run weighs no more than several short ones.
    length *= std::pow(passes / length, RUN_WEIGHT);
}

void Controller::follow_run(const PassMeasure& pass, const Moment& moment, bool switched) {
    if (switched) {
        book_run(false);
        if (given_up()) patience_ = std::max(patience_ / 2, LEAST_PATIENCE);
    }
    if (switched || run_.passes == 0) {
        run_ = {};
        run_.rows = pass.rows;
        run_.forced = moment.forced;
        // Where the prompt's last pass had as many rows, this is the second one of its kind.
        run_.passes = switched ? 0 : 1;
    }
    run_.wanted = !moment.chosen;
    ++run_.passes;
    if (pass.drafted > 0) ++run_.drafted;
    const int own = (pass.nodes > 0 ? pass.nodes : pass.drafted) + 1;
    const double excess = costs_.cost(pass.rows, pass.context) - costs_.cost(own, pass.context);
    run_.excess = excess > LEAST_EXCESS ? run_.excess + excess : 0;
}

void Controller::observe(const PassMeasure& pass) {
    ++passes_;
    const Moment moment = std::exchange(moment_, {});
    const bool switched = pass.rows != pass.last_rows;
    // What came before a text's first pass is unknown where its prompt's last pass had as many rows.
    const bool unknown = !switched && run_.passes == 0;
    const int repeated = switched ? 0 : run_.passes;
    const double change = unknown ? 0 : costs_.unsettled(repeated);
    const double slowness = costs_.slowness_ms();
    double total = costs_.cost(pass.rows, pass.context) + change;
    if (!unknown || slowness <= 0) costs_.add(pass.rows, pass.context, pass.target_ms, repeated);
    follow_run(pass, moment, switched);
    since_plain_ = CostModel::settled(pass.rows, repeated) ? 0 : since_plain_ + 1;
    for (const auto token : pass.emitted)
        hindsight_.emitted(token, pass.greedy, survival_);
    emitted_ += static_cast<int>(pass.emitted.size());
    const double tokens = pass.accepted + 1;
    // Plans are charged for these by themselves.
    const double once = repeated == 1 || pass.last_rows <= 1 ? change : 0;
    if (!pass.drafter.empty() && !pass.free) {
        learn_draft_cost(pass, slowness);
        for (const auto& test : pass.tested)
            survival_.learn(test.slot, pass.greedy, test.accepted);
        const DraftCost draft = draft_cost({pass.drafter, pass.steps});
        double& reach = reach_[pass.drafter];
        reach = std::max<double>(pass.drafted, REACH_MEMORY * reach);
        total = whole_cost(pass, total + draft.each * (pass.sequential ? pass.drafted : 1));
        // What a trial took above its estimate is lost too.
        if (moment.trial_cost > 0) ledger_ -= total - once - moment.trial_cost;
        for (const int value : {ANY, pass.outlook.value})
            arms_[{pass.drafter, pass.steps, value, pass.greedy}].add(tokens, total - once, passes_);
        if (pass.outlook.pending_rows > 1) total += draft.row * pass.outlook.pending_rows;
    }
    if (!switched) {
        const double loss = run_.loss + total - change - 1 - (tokens - 1) / rate();
        if (run_.loss > 0 && loss <= 0) patience_ = std::min(2 * patience_, MOST_PATIENCE);
        run_.loss = std::max(loss, 0.0);
    }
    recent_tokens_ = recent_tokens_ * RATE_MEMORY + tokens;
    recent_cost_ = recent_cost_ * RATE_MEMORY + total;
    // Passes that the user wanted so save up nothing to be lost later.
    if (moment.chosen) ledger_ += TRIAL_SHARE * total + TRIAL_GAIN * (tokens - total);
    ledger_ = std::clamp(ledger_, -MOST_SAVED, MOST_SAVED);
}

std::string Controller::state() const {
    std::ostringstream out;
    out.imbue(std::locale::classic());
    out << STATE_HEADER << '\n';
    costs_.write(out);
    survival_.write(out);
    out << drafts_.size() << '\n';
    for (const auto& [way, cost] : drafts_) {
        out << way.first << ' ' << way.second << ' ' << cost.each << ' ' << cost.row << ' ' << cost.more << ' '
            << cost.each_weight << ' ' << cost.row_weight << ' ' << cost.more_weight << '\n';
    }
    out << arms_.size() << '\n';
    for (const auto& [key, arm] : arms_) {
        out << std::get<0>(key) << ' ' << std::get<1>(key) << ' ' << std::get<2>(key) << ' '
            << (std::get<3>(key) ? 1 : 0) << ' ' << arm.tokens << ' ' << arm.cost << ' ' << arm.weight << '\n';
    }
    out << reach_.size() << '\n';
    for (const auto& [name, reach] : reach_)
        out << name << ' ' << reach << '\n';
    out << recent_tokens_ << ' ' << recent_cost_ << ' ' << ledger_ << ' ' << job_tokens_ << '\n';
    return out.str();
}

bool Controller::restore(const std::string& state) {
    std::istringstream in(state);
    in.imbue(std::locale::classic());
    Controller read;
    std::string header;
    size_t count = 0;
    if (!(in >> header) || header != STATE_HEADER || !read.costs_.read(in) || !read.survival_.read(in)) return false;
    if (!(in >> count) || count > MOST_ARMS) return false;
    const auto positive = [](std::initializer_list<double> values) {
        return std::all_of(values.begin(), values.end(),
                           [](double value) { return value >= 0 && value <= MOST_LEARNED; });
    };
    for (size_t i = 0; i < count; ++i) {
        std::string name;
        int steps = 0;
        DraftCost cost;
        if (!(in >> name >> steps >> cost.each >> cost.row >> cost.more)) return false;
        if (!(in >> cost.each_weight >> cost.row_weight >> cost.more_weight)) return false;
        if (!positive({cost.each, cost.row, cost.each_weight, cost.row_weight, cost.more_weight})) return false;
        if (!(std::abs(cost.more) <= MOST_LEARNED)) return false;
        if (steps < 0) return false;
        read.drafts_[{name, steps}] = cost;
    }
    if (!(in >> count) || count > MOST_ARMS) return false;
    for (size_t i = 0; i < count; ++i) {
        std::string name;
        int steps = 0;
        int value = 0;
        int greedy = 0;
        Experience arm;
        if (!(in >> name >> steps >> value >> greedy >> arm.tokens >> arm.cost >> arm.weight)) return false;
        if (!positive({arm.tokens, arm.cost, arm.weight})) return false;
        read.arms_[{name, steps, value, greedy != 0}] = arm;
    }
    if (!(in >> count) || count > MOST_ARMS) return false;
    for (size_t i = 0; i < count; ++i) {
        std::string name;
        double reach = 0;
        if (!(in >> name >> reach) || !positive({reach})) return false;
        read.reach_[name] = reach;
    }
    if (!(in >> read.recent_tokens_ >> read.recent_cost_ >> read.ledger_ >> read.job_tokens_)) return false;
    if (!positive({read.recent_tokens_, read.recent_cost_, read.job_tokens_}) ||
        !(std::abs(read.ledger_) <= MOST_SAVED))
        return false;
    *this = std::move(read);
    return true;
}

} // namespace specdiff

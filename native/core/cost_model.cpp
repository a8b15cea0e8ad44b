#include "cost_model.h"

#include <algorithm>
#include <cmath>
#include <istream>
#include <ostream>
#include <utility>
#include <vector>

namespace specdiff {

namespace {

/** Growth of a pass's time a row before anything was measured. */
constexpr double PRIOR_ROW_COST = 0.1;
/** Weight of the newest time in the slowness, and in a ratio that was measured often. */
constexpr double SLOWNESS_WEIGHT = 0.2;
constexpr double RATIO_WEIGHT = 0.05;
/** Settled passes of one row count more in the slowness, and ratios are learned from those at most so many passes away.
 */
constexpr double PLAIN_WEIGHT = 0.5;
constexpr int NEAR = 64;
/** One time counts at most as this many times slower or quicker than expected. */
constexpr double SLOWNESS_OUTLIER = 3.0;
constexpr double RATIO_OUTLIER = 1.5;
/** What a calibrated ratio weighs, and the most that any does. */
constexpr double CALIBRATED = 8;
constexpr double HEAVIEST = 64;
/** A neighbouring context's ratio counts this much of its weight. */
constexpr double BORROWED = 0.1;
constexpr int FIRST_CONTEXT = 256;
constexpr double MOST_RATIO = 1e4;
constexpr double SWITCHING_WEIGHT = 0.05;
constexpr double MOST_SWITCHING = 10;
constexpr double LINGERING_WEIGHT = 0.05;
constexpr double MOST_LINGERING = 1.3;
/** Passes that have just settled: SETTLED and so many behind it. */
constexpr int JUST_SETTLED = 3;

struct Block {
    double value;
    double weight;
    int first;
    int last;
};

} // namespace

int CostModel::bucket(int context) {
    int result = 0;
    for (int limit = FIRST_CONTEXT; context > limit && result + 1 < BUCKETS; limit *= 2)
        ++result;
    return result;
}

void CostModel::add(int rows, int context, double ms, int repeated) {
    if (!(ms > 0)) return;
    rows = std::clamp(rows, 1, MAX_ROWS);
    const double expected = cost(rows, context);
    const double before = slowness_ms_;
    const bool plain = settled(rows, repeated);
    if (plain) {
        learn_lingering(ms, repeated);
        ms = steady_ms(ms, repeated);
    }
    const Pass pass{rows, bucket(context), ms, unsettled(repeated)};
    const double seen = ms / (expected + pass.extra);
    if (before <= 0) {
        slowness_ms_ = seen;
        slowness_weight_ = 1;
    } else {
        slowness_weight_ = std::min(slowness_weight_ + 1, 1 / SLOWNESS_WEIGHT);
        const double weight = std::max(1 / slowness_weight_, plain ? PLAIN_WEIGHT : 0);
        slowness_ms_ += weight * (std::clamp(seen, before / SLOWNESS_OUTLIER, before * SLOWNESS_OUTLIER) - before);
    }
    const double known = plain_nearby_ms();
    if (plain) {
        plain_ms_ = known > 0 ? known + PLAIN_WEIGHT * (std::min(ms, known * SLOWNESS_OUTLIER) - known) : ms;
        since_plain_ = 0;
        return;
    }
    ++since_plain_;
    const double one = known > 0 ? known : before;
    if (one <= 0) return;
    if (rows > 1) {
        if (known > 0) learn(pass, known);
    } else if (repeated < SETTLED - 1) {
        // One row is the unit: what is above it is the change.
        double& above = repeated == 0 ? switching_ : settling_;
        const double value = std::min(ms / one, (1 + above) * SLOWNESS_OUTLIER) - 1;
        above = std::clamp(above + SWITCHING_WEIGHT * (value - above), 0.0, MOST_SWITCHING);
    }
}

/** What a settled pass of one row would have taken in plain decoding all along. */
double CostModel::steady_ms(double ms, int repeated) const {
    const double left = std::clamp(static_cast<double>(STEADY - repeated) / (STEADY - SETTLED), 0.0, 1.0);
    return ms / (1 + (lingering_ - 1) * left);
}

void CostModel::learn_lingering(double ms, int repeated) {
    if (repeated < SETTLED + JUST_SETTLED) {
        const int before = repeated - SETTLED;
        just_settled_ms_ = (before * just_settled_ms_ + ms) / (before + 1);
    } else if (repeated >= STEADY && repeated < STEADY + COMPARED && just_settled_ms_ > 0) {
        const double value = std::clamp(just_settled_ms_ / ms, 1.0, MOST_LINGERING);
        lingering_ += LINGERING_WEIGHT * (value - lingering_);
    }
}

void CostModel::calibrate_lingering(const std::vector<double>& passes) {
    if (passes.size() < STEADY + COMPARED) return;
    // Medians: a moment of another program's would be remembered for long.
    const auto median = [&](int from, int count) {
        std::vector<double> some(passes.begin() + from, passes.begin() + from + count);
        std::nth_element(some.begin(), some.begin() + count / 2, some.end());
        return some[static_cast<size_t>(count / 2)];
    };
    lingering_ = std::clamp(median(SETTLED, JUST_SETTLED) / median(STEADY, COMPARED), 1.0, MOST_LINGERING);
}

double CostModel::unsettled(int repeated) const {
    return repeated == 0 ? switching_ : repeated == 1 ? settling_ : 0;
}

void CostModel::begin_text() {
    since_plain_ = NEAR + 1;
}

double CostModel::plain_nearby_ms() const {
    return since_plain_ <= NEAR ? plain_ms_ : 0;
}

/** From a pass of several rows, and what one of one row takes at that time. */
void CostModel::learn(const Pass& pass, double plain_ms) {
    auto& ratio = ratios_[static_cast<size_t>(pass.bucket)][static_cast<size_t>(pass.rows)];
    const double expected = curve(pass.bucket)[static_cast<size_t>(pass.rows)];
    // Against what was expected: the first measurement of a size may come in a busy moment.
    const double value =
        std::clamp(pass.ms / plain_ms - pass.extra, expected / RATIO_OUTLIER, expected * RATIO_OUTLIER);
    if (ratio.weight <= 0) ratio = {expected, 1};
    ratio.weight = std::min(ratio.weight + 1, HEAVIEST);
    ratio.value += std::max(1 / ratio.weight, RATIO_WEIGHT) * (value - ratio.value);
    changed();
}

void CostModel::calibrate(int rows, double ms) {
    if (!(ms > 0)) return;
    rows = std::clamp(rows, 1, MAX_ROWS);
    if (rows == 1) {
        slowness_ms_ = ms;
        slowness_weight_ = 1 / SLOWNESS_WEIGHT;
        return;
    }
    if (slowness_ms_ <= 0) return;
    ratios_[0][static_cast<size_t>(rows)] = {std::max(ms / slowness_ms_, 1.0), CALIBRATED};
    changed();
}

void CostModel::calibrate_switch(double ms, double later_ms) {
    if (slowness_ms_ <= 0) return;
    switching_ = std::clamp(ms / slowness_ms_, 0.0, MOST_SWITCHING);
    settling_ = std::clamp(later_ms / slowness_ms_, 0.0, MOST_SWITCHING);
}

void CostModel::changed() {
    fitted_.fill(false);
    measured_ = true;
}

bool CostModel::knows(int rows) const {
    return std::any_of(ratios_.begin(), ratios_.end(),
                       [rows](const auto& sizes) { return sizes[static_cast<size_t>(rows)].weight > 0; });
}

/** Isotonic regression by pooling adjacent violators (Ayer et al. 1955), then straight lines between the sizes. */
const CostModel::Curve& CostModel::curve(int own) const {
    Curve& curve = curves_[static_cast<size_t>(own)];
    bool& fitted = fitted_[static_cast<size_t>(own)];
    if (fitted) return curve;
    fitted = true;
    std::vector<Block> blocks{{1, 1e9, 1, 1}};
    for (int rows = 2; rows <= MAX_ROWS; ++rows) {
        double sum = 0;
        double weight = 0;
        for (int other = 0; other < BUCKETS; ++other) {
            const Ratio& ratio = ratios_[static_cast<size_t>(other)][static_cast<size_t>(rows)];
            if (ratio.weight <= 0) continue;
            const double counts = ratio.weight * std::pow(BORROWED, std::abs(other - own));
            sum += counts * ratio.value;
            weight += counts;
        }
        if (weight <= 0) continue;
        blocks.push_back({sum / weight, weight, rows, rows});
        while (blocks.size() > 1 && blocks[blocks.size() - 2].value > blocks.back().value) {
            const Block last = blocks.back();
            blocks.pop_back();
            Block& pooled = blocks.back();
            const double total = pooled.weight + last.weight;
            pooled.value = (pooled.value * pooled.weight + last.value * last.weight) / total;
            pooled.weight = total;
            pooled.last = last.last;
        }
    }
    double slope = PRIOR_ROW_COST;
    for (size_t i = 0; i < blocks.size(); ++i) {
        const Block& block = blocks[i];
        for (int rows = block.first; rows <= block.last; ++rows)
            curve[static_cast<size_t>(rows)] = block.value;
        if (i + 1 < blocks.size()) {
            const Block& next = blocks[i + 1];
            const double step = (next.value - block.value) / (next.first - block.last);
            for (int rows = block.last + 1; rows < next.first; ++rows)
                curve[static_cast<size_t>(rows)] = block.value + step * (rows - block.last);
            continue;
        }
        if (block.last > 1) slope = std::max((block.value - 1) / (block.last - 1), 0.02);
        for (int rows = block.last + 1; rows <= MAX_ROWS; ++rows)
            curve[static_cast<size_t>(rows)] = block.value + slope * (rows - block.last);
    }
    return curve;
}

double CostModel::cost(int rows, int context) const {
    rows = std::clamp(rows, 1, MAX_ROWS);
    if (!measured_) return 1 + PRIOR_ROW_COST * (rows - 1);
    return curve(bucket(context))[static_cast<size_t>(rows)];
}

void CostModel::write(std::ostream& out) const {
    int count = 0;
    for (const auto& sizes : ratios_) {
        for (const auto& ratio : sizes)
            count += ratio.weight > 0 ? 1 : 0;
    }
    out << slowness_ms_ << ' ' << switching_ << ' ' << settling_ << ' ' << lingering_ << ' ' << count;
    for (int context = 0; context < BUCKETS; ++context) {
        for (int rows = 2; rows <= MAX_ROWS; ++rows) {
            const Ratio& ratio = ratios_[static_cast<size_t>(context)][static_cast<size_t>(rows)];
            if (ratio.weight > 0) out << ' ' << context << ' ' << rows << ' ' << ratio.value << ' ' << ratio.weight;
        }
    }
    out << '\n';
}

bool CostModel::read(std::istream& in) {
    CostModel result;
    int count = 0;
    if (!(in >> result.slowness_ms_ >> result.switching_ >> result.settling_ >> result.lingering_ >> count))
        return false;
    if (count < 0 || !(result.slowness_ms_ >= 0)) return false;
    if (!(result.lingering_ >= 1 && result.lingering_ <= MOST_LINGERING)) return false;
    for (const double above : {result.switching_, result.settling_}) {
        if (!(above >= 0 && above <= MOST_SWITCHING)) return false;
    }
    for (int i = 0; i < count; ++i) {
        int context = 0;
        int rows = 0;
        Ratio ratio;
        if (!(in >> context >> rows >> ratio.value >> ratio.weight)) return false;
        const bool sound = context >= 0 && context < BUCKETS && rows >= 2 && rows <= MAX_ROWS && ratio.value >= 1 &&
                           ratio.value < MOST_RATIO && ratio.weight > 0 && ratio.weight <= HEAVIEST;
        if (!sound) return false;
        result.ratios_[static_cast<size_t>(context)][static_cast<size_t>(rows)] = ratio;
    }
    result.slowness_weight_ = 1;
    if (count > 0) result.changed();
    *this = result;
    return true;
}

} // namespace specdiff

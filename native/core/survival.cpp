#include "survival.h"

#include "outlook.h"

#include <algorithm>
#include <istream>
#include <ostream>

namespace specdiff {

namespace {

/** What an old test still weighs when a new one comes: about 100 tests count. */
constexpr double MEMORY = 0.99;
/** Tests that the prior counts as. */
constexpr double PRIOR_WEIGHT = 6;
constexpr int MOST_KEYS = 4096;

} // namespace

double Survival::chance(const Slot& slot, bool greedy) const {
    const bool own = slot.own >= 0;
    double chance = own ? outlook::sampled(slot.own, greedy) : outlook::prior(slot.source, slot.outlook, greedy);
    const auto found = counts_.find({slot.source, slot.outlook, greedy});
    if (found == counts_.end()) return chance;
    const int last = std::clamp(slot.position, 0, POSITIONS - 1);
    if (own) { // it knows its place already
        const Counts& counts = found->second[static_cast<size_t>(last)];
        return (counts.passed + PRIOR_WEIGHT * chance) / (counts.tested + PRIOR_WEIGHT);
    }
    for (int position = 0; position <= last; ++position) {
        const Counts& counts = found->second[static_cast<size_t>(position)];
        chance = (counts.passed + PRIOR_WEIGHT * chance) / (counts.tested + PRIOR_WEIGHT);
    }
    return chance;
}

void Survival::learn(const Slot& slot, bool greedy, bool accepted) {
    auto& places = counts_[{slot.source, slot.outlook, greedy}];
    Counts& counts = places[static_cast<size_t>(std::clamp(slot.position, 0, POSITIONS - 1))];
    counts.tested = counts.tested * MEMORY + 1;
    counts.passed = counts.passed * MEMORY + (accepted ? 1 : 0);
}

void Survival::write(std::ostream& out) const {
    out << counts_.size() << '\n';
    for (const auto& [key, places] : counts_) {
        int last = POSITIONS;
        while (last > 0 && places[static_cast<size_t>(last - 1)].tested <= 0)
            --last;
        out << key.source << ' ' << key.outlook << ' ' << (key.greedy ? 1 : 0) << ' ' << last;
        for (int i = 0; i < last; ++i)
            out << ' ' << places[static_cast<size_t>(i)].tested << ' ' << places[static_cast<size_t>(i)].passed;
        out << '\n';
    }
}

bool Survival::read(std::istream& in) {
    int keys = 0;
    if (!(in >> keys) || keys < 0 || keys > MOST_KEYS) return false;
    Survival result;
    for (int i = 0; i < keys; ++i) {
        Key key;
        int greedy = 0;
        int last = 0;
        if (!(in >> key.source >> key.outlook >> greedy >> last) || last < 0 || last > POSITIONS) return false;
        key.greedy = greedy != 0;
        auto& places = result.counts_[key];
        for (int place = 0; place < last; ++place) {
            Counts& counts = places[static_cast<size_t>(place)];
            if (!(in >> counts.tested >> counts.passed) || !(counts.tested >= 0) || !(counts.passed >= 0) ||
                counts.passed > counts.tested + 1e-6)
                return false;
        }
    }
    *this = std::move(result);
    return true;
}

} // namespace specdiff

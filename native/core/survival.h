#pragma once

#include <array>
#include <iosfwd>
#include <map>
#include <string>
#include <tuple>

namespace specdiff {

/** What a drafted token's chance is judged by, all known before any token of the draft is drawn. */
struct Slot {
    /** Where the token comes from: a drafter's name. */
    std::string source;
    /** The source's own class: length of a match, how sure a slot is, … */
    int outlook = 0;
    /** Place in the draft, from 0 on. */
    int position = 0;
    /** The drafter's own calibrated chance for a greedy job; negative where it has none. */
    double own = -1;
};

/**
 * Chance that a drafted token is accepted where all before it were, by source, outlook and position, greedy and sampled
 * jobs apart. Counts with a slow memory, over all completions; a place that was seldom tested leans on the one before
 * it, and the first on what other machines have shown. A slot with a calibrated chance of its own leans on that.
 */
class Survival {
  public:
    static constexpr int POSITIONS = 64;

    double chance(const Slot& slot, bool greedy) const;
    void learn(const Slot& slot, bool greedy, bool accepted);

    void write(std::ostream& out) const;
    /** Reads what write() wrote; false leaves everything as it was. */
    bool read(std::istream& in);

  private:
    struct Counts {
        double tested = 0;
        double passed = 0;
    };
    struct Key {
        std::string source;
        int outlook;
        bool greedy;
        bool operator<(const Key& other) const {
            return std::tie(source, outlook, greedy) < std::tie(other.source, other.outlook, other.greedy);
        }
    };

    std::map<Key, std::array<Counts, POSITIONS>> counts_;
};

} // namespace specdiff

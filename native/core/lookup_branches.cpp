#include "lookup_branches.h"

#include <algorithm>
#include <array>

namespace specdiff {

namespace {

/** Chance that the first looked-up token is right, by tokens that matched (1, 2, …), and that each next one is. Rough:
 * they only order branches and nodes. */
constexpr std::array<double, NgramIndex::LONGEST> FIRST = {0.35, 0.5, 0.6, 0.7, 0.75, 0.8, 0.8, 0.9};
constexpr std::array<double, NgramIndex::LONGEST> NEXT = {0.7, 0.8, 0.85, 0.9, 0.9, 0.9, 0.9, 0.95};

std::vector<Guess> branch_of(const std::vector<int32_t>& tokens, int matched) {
    const auto class_ = static_cast<size_t>(std::min(matched, NgramIndex::LONGEST) - 1);
    std::vector<Guess> branch;
    branch.reserve(tokens.size());
    for (const auto token : tokens)
        branch.push_back({token, branch.empty() ? FIRST[class_] : NEXT[class_]});
    return branch;
}

} // namespace

std::vector<std::vector<Guess>> lookup_branches(const Lookup& lookup, const Lookup::Match& match, int depth, int most) {
    std::vector<std::vector<Guess>> branches;
    std::vector<int32_t> firsts;
    double left = 1; // chance that no branch before was right
    for (auto place = match; place.length > 0 && static_cast<int>(branches.size()) < most;
         place = lookup.find(place.length - 1)) {
        const auto tokens = lookup.copy(place, depth);
        if (tokens.empty() || std::find(firsts.begin(), firsts.end(), tokens.front()) != firsts.end()) continue;
        firsts.push_back(tokens.front());
        branches.push_back(branch_of(tokens, place.length));
        branches.back().front().chance *= left;
        left -= branches.back().front().chance;
    }
    return branches;
}

} // namespace specdiff

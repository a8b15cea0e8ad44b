#include "block_guesses.h"

#include "outlook.h"

#include <algorithm>

namespace specdiff {

std::vector<Guess> BlockGuesses::after(const std::vector<int32_t>& path, const std::string& source,
                                       const Judge* judge) const {
    const size_t index = path.size();
    if (index >= slots_.size()) return {};
    const bool along = index < copy_.size() && std::equal(path.begin(), path.end(), copy_.begin());
    const auto place = static_cast<int>(index);
    std::vector<Guess> guesses;
    for (const auto& guess :
         chances_.guesses(slots_[index].top, place, along ? copy_[index] : -1, lookup_.after(path))) {
        const Slot slot{source, outlook::of_chance(guess.chance), place, guess.chance};
        guesses.push_back({guess.token, judge != nullptr ? judge->chance(slot) : guess.chance, slot, guess.looked_up});
    }
    return guesses;
}

} // namespace specdiff

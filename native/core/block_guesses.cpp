#include "block_guesses.h"

#include "outlook.h"

#include <algorithm>

namespace specdiff {

std::vector<PlaceGuess> BlockGuesses::after(const std::vector<int32_t>& path) const {
    const size_t place = path.size();
    if (place >= slots_.size()) return {};
    const bool along = place < copy_.size() && std::equal(path.begin(), path.end(), copy_.begin());
    return chances_.guesses(slots_[place].top, static_cast<int>(place), along ? copy_[place] : -1, lookup_.after(path));
}

Guess judged_guess(const PlaceGuess& guess, const std::string& source, int place, const Judge* judge) {
    const Slot slot{source, outlook::of_chance(guess.chance), place, guess.chance};
    return {guess.token, judge != nullptr ? judge->chance(slot) : guess.chance, slot};
}

} // namespace specdiff

#include "place_chances.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace specdiff {

namespace {

double at_place(const std::vector<double>& places, int place) {
    return places[std::min(static_cast<size_t>(place), places.size() - 1)];
}

} // namespace

PlaceChances PlaceChances::usual() {
    PlaceChances usual;
    usual.slope = {1.0, 0.9, 0.85, 0.78, 0.74, 0.69, 0.66};
    usual.rest = {2.1, 2.0, 2.0, 2.0, 1.95, 1.95, 1.9};
    usual.copied = {0.4, 0.8, 1.2, 1.6, 1.7, 1.9, 2.4};
    usual.absent = {0.5};
    usual.matched = {0.9, 2.0, 2.6, 3.2, 3.1, 3.2, 3.2, 4.5};
    usual.matched_copied = {0.0, 0.6, 0.8, 1.1, 1.1, 1.2, 1.4, 2.0};
    usual.phrases = {0.4, 0.4, 1.1, 0.4, 0.6, 0.9, 0.8, 1.5, 0.6, 0.9, 1.2, 2.1, 0.8, 1.3, 1.9, 2.6};
    usual.phrases_copied = {-0.4, -0.4, 0.4, 0.5, 0.0, -0.2, 0.6, 1.5, -0.5, -0.1, 0.2, 1.4, -0.2, 0.1, 0.4, 1.8};
    return usual;
}

int PlaceChances::sureness(const Phrases::Next& phrase) {
    constexpr std::array<double, SURENESSES - 1> RATIOS = {1.5, 3, 10};
    const double ratio = phrase.count / (phrase.second_count + 1.0);
    return static_cast<int>(std::count_if(RATIOS.begin(), RATIOS.end(), [&](double least) { return ratio >= least; }));
}

std::vector<PlaceGuess> PlaceChances::guesses(const TopFew& slot, int place, int32_t copied_token,
                                              const Lookup::Evidence& evidence) const {
    const double each = at_place(slope, place);
    const double last = each * slot.gaps[static_cast<size_t>(slot.count - 1)];
    // Log-odds in place of chances, until all are known.
    std::vector<PlaceGuess> guesses;
    guesses.reserve(static_cast<size_t>(slot.count) + 3);
    for (size_t i = 0; i < static_cast<size_t>(slot.count); ++i)
        guesses.push_back({slot.tokens[i], each * slot.gaps[i], false});
    const auto add = [&](int32_t token, double odds) {
        auto found =
            std::find_if(guesses.begin(), guesses.end(), [&](const auto& guess) { return guess.token == token; });
        if (found == guesses.end()) found = guesses.insert(found, {token, last + at_place(absent, place), false});
        found->chance += odds;
        found->looked_up = true;
    };
    if (copied_token >= 0) add(copied_token, at_place(copied, place));
    if (evidence.matched > 0) {
        const auto& odds = evidence.copied == copied_token ? matched_copied : matched;
        add(evidence.copied, odds[static_cast<size_t>(evidence.matched - 1)]);
    }
    if (evidence.phrase.length > 0) {
        const auto& odds = evidence.phrase.token == copied_token ? phrases_copied : phrases;
        const int kind = SURENESSES * (evidence.phrase.length - 1) + sureness(evidence.phrase);
        add(evidence.phrase.token, odds[static_cast<size_t>(kind)]);
    }
    std::stable_sort(guesses.begin(), guesses.end(), [](const auto& a, const auto& b) { return a.chance > b.chance; });
    const double best = guesses.front().chance;
    double sum = std::exp(at_place(rest, place) + last - best);
    for (auto& guess : guesses) {
        guess.chance = std::exp(guess.chance - best);
        sum += guess.chance;
    }
    for (auto& guess : guesses)
        guess.chance /= sum;
    return guesses;
}

} // namespace specdiff

#include "slot_calibration.h"

#include <algorithm>
#include <cmath>

namespace specdiff {

namespace {

double at_place(const std::vector<double>& places, int place) {
    return places.at(static_cast<size_t>(std::min(place, static_cast<int>(places.size()) - 1)));
}

double chance_of(double odds) {
    return 1 / (1 + std::exp(-odds));
}

} // namespace

double SlotCalibration::chance(double margin, outlook::Agreement agreement, int place) const {
    const auto group = static_cast<size_t>(agreement);
    return chance_of(scale.at(group) * margin + bias.at(group) + at_place(places, place));
}

double SlotCalibration::copy_chance(const Lookup::Match& match, int place) const {
    if (copied.empty()) return -1;
    return chance_of(copied.at(static_cast<size_t>(outlook::of_copy(match))) + at_place(copied_places, place));
}

} // namespace specdiff

#include "slot_calibration.h"

#include <algorithm>
#include <cmath>

namespace specdiff {

double SlotCalibration::chance(double margin, outlook::Agreement agreement, int place) const {
    const auto group = static_cast<size_t>(agreement);
    const auto last = static_cast<int>(places.size()) - 1;
    const double odds =
        scale.at(group) * margin + bias.at(group) + places.at(static_cast<size_t>(std::min(place, last)));
    return 1 / (1 + std::exp(-odds));
}

} // namespace specdiff

#pragma once

#include "outlook.h"

#include <array>
#include <vector>

namespace specdiff {

/**
 * A drafter's own estimate that its slot's best token is the target's next one where all before it were right: logistic
 * regression on validation answers, by how the slot stands to the lookup and by its place (training's calibration.py).
 */
struct SlotCalibration {
    /** By outlook::Agreement: log-odds for each unit of the margin, and log-odds without any. */
    std::array<double, 3> scale{};
    std::array<double, 3> bias{};
    /** Log-odds by place in the draft; later places are as the last. */
    std::vector<double> places;

    double chance(double margin, outlook::Agreement agreement, int place) const;
};

} // namespace specdiff

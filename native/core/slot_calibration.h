#pragma once

#include "outlook.h"

#include <array>
#include <vector>

namespace specdiff {

/**
 * A drafter's own estimates that a token is the target's next one where all before it were right: logistic regression
 * on validation answers (training's calibration.py). Of a slot's best token, by how the slot stands to the lookup and
 * by its place; of a looked-up token where the slot's best is another, by what it is copied from and by its place.
 */
struct SlotCalibration {
    /** By outlook::Agreement: log-odds for each unit of the margin, and log-odds without any. */
    std::array<double, 3> scale{};
    std::array<double, 3> bias{};
    /** Log-odds by place in the draft; later places are as the last. */
    std::vector<double> places;
    /** By outlook::of_copy, and by place; empty where the file says nothing about copies. */
    std::vector<double> copied;
    std::vector<double> copied_places;
    /**
     * Of drafts of looked-up tokens and slots together: chances that the first place is accepted, the first two, … in
     * greedy jobs; empty where the file says nothing.
     */
    std::vector<double> reached;

    double chance(double margin, outlook::Agreement agreement, int place) const;
    /** Of a looked-up token against the slot's best; negative where the file says nothing. */
    double copy_chance(const Lookup::Match& match, int place) const;
};

} // namespace specdiff

#pragma once

#include "greatest.h"
#include "lookup.h"

#include <cstdint>
#include <vector>

namespace specdiff {

/** A token that may stand at a place of a draft. */
struct PlaceGuess {
    int32_t token = 0;
    /** That it is the target's choice in a greedy job, all before it being right. */
    double chance = 0;
    /** A text or a phrase says so too. */
    bool looked_up = false;
};

/**
 * What may stand at a place of a block's draft, as one distribution of the slot's best tokens and of what is looked up
 * behind the tokens drafted before it. Logistic: each token's log-odds are the sum of what its logit says, the copy
 * that the block's slots began from, the text's match and the target's turn of phrase; fitted to the target's own
 * validation answers (training's calibration.py) and brought by the drafter's file.
 *
 * A slot knows nothing of what was drafted in the other slots; a lookup behind the draft does. τ on held-out answers
 * 3.14, with the copy alone 2.95.
 */
struct PlaceChances {
    static constexpr int SURENESSES = 4;
    static constexpr int PHRASES = Phrases::LONGEST * SURENESSES;

    /** By place, later ones as the last: for each unit that a logit lies above another; of all tokens that are not
     * looked at, together, against the last one that is; of the token that the slot began from; of a looked-up token
     * that is none of the slot's best, and so counts as the last one of these. */
    std::vector<double> slope;
    std::vector<double> rest;
    std::vector<double> copied;
    std::vector<double> absent;
    /** Of what followed a match of 1, 2, … tokens, and of a phrase, by length and sureness; and of these where the slot
     * began from that token, and so has heard of it. */
    std::vector<double> matched;
    std::vector<double> matched_copied;
    std::vector<double> phrases;
    std::vector<double> phrases_copied;
    /**
     * Of whole drafts: chances that the first place is accepted, the first two, … in greedy jobs; empty where the file
     * says nothing.
     */
    std::vector<double> reached;

    /** What the default drafter's answers say, for a drafter whose file says nothing. */
    static PlaceChances usual();

    /** 0 where the phrase hardly comes more often than another, 1, 2, 3 from 1.5, 3, 10 times as often on. */
    static int sureness(const Phrases::Next& phrase);

    /**
     * Likeliest first. @param slot best tokens of the place's slot. @param copied token that the slot began from, −1
     * for a mask and behind a draft that has left the copy.
     */
    std::vector<PlaceGuess> guesses(const TopFew& slot, int place, int32_t copied,
                                    const Lookup::Evidence& evidence) const;
};

} // namespace specdiff

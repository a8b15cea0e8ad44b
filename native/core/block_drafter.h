#pragma once

#include "block_network.h"
#include "drafter.h"
#include "greatest.h"
#include "place_chances.h"

#include <vector>

namespace specdiff {

/** One slot of a denoised block. */
struct DenoisedSlot {
    /** Its best tokens, of the target's vocabulary. */
    TopFew top;
    SlotRow row;

    int32_t best() const { return top.tokens.front(); }
};

/** A drafter that denoises a block of slots in one pass; the slots are independent given the context. */
class BlockDrafter : public Drafter {
  public:
    /**
     * The block's first `slots`, at most max_draft_length(). `guesses`: tokens that may stand there; a drafter that was
     * trained so starts the slots from them. @throws Cancelled, Error.
     */
    virtual std::vector<DenoisedSlot> denoise(const DraftContext& context, int slots,
                                              const std::vector<int32_t>& guesses) = 0;
    /** How many slots a draft of that budget takes. */
    virtual int slots(const Budget& budget) const = 0;
    /** Whether its slots start from such tokens. */
    virtual bool starts_from_guesses() const = 0;
    virtual int vocabulary_size() const = 0;
    /** What the slots' tokens and looked-up ones are worth. */
    virtual const PlaceChances& chances() const = 0;
};

/**
 * The slot's token: its best in greedy jobs and for rules that gain nothing from a drawn one (a point mass), else drawn
 * from its distribution, which becomes its q.
 */
void append_slot(Tree& tree, const DenoisedSlot& slot, int vocabulary_size, const DraftContext& context);

} // namespace specdiff

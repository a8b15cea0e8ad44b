#pragma once

#include "block_network.h"
#include "drafter.h"
#include "outlook.h"

#include <vector>

namespace specdiff {

/** One slot of a denoised block. */
struct DenoisedSlot {
    int32_t best = 0;
    /** Best logit − second best. */
    double margin = 0;
    /** Its row alone. */
    SlotRows row;
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
    virtual int vocabulary_size() const = 0;
    /** What a slot's best token at a place of the draft is judged by. */
    virtual Slot judged(const DenoisedSlot& slot, outlook::Agreement agreement, int place) const = 0;
    /** The chance, as its file has it, of a looked-up token where the slot's best is another; negative for none. */
    virtual double copy_chance(const Lookup::Match& match, int place) const = 0;
};

/**
 * The slot's token: its best in greedy jobs and for rules that gain nothing from a drawn one (a point mass), else drawn
 * from its distribution, which becomes its q.
 */
void append_slot(Tree& tree, const DenoisedSlot& slot, int vocabulary_size, const DraftContext& context);

} // namespace specdiff

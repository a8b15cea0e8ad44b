#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace specdiff {

/** Logits of a denoised slot, in the network's own memory: read them before its next pass. */
struct SlotRow {
    const float* values = nullptr;
    /** Entries: of all tokens that the network drafts, or of the likeliest; the others count as impossible. */
    int size = 0;
    /** The tokens that they stand for; null where entry i is token i. */
    const int32_t* tokens = nullptr;
};

/**
 * The network of a block-diffusion drafter and its cache: keys and values made of the target's hidden states for the
 * text's rows. The block's slots see those from first_seen() on and each other, and never stay.
 */
class BlockNetwork {
  public:
    BlockNetwork() = default;
    virtual ~BlockNetwork() = default;
    BlockNetwork(const BlockNetwork&) = delete;
    BlockNetwork& operator=(const BlockNetwork&) = delete;

    /** The text's first so many rows were added or left out. */
    virtual int rows() const = 0;
    /** Drops those from `length` on. */
    virtual void truncate(int length) = 0;
    /** The first row that slots behind `length` rows see: those before it may be left out. */
    virtual int first_seen(int /*length*/) const { return 0; }
    /** Slots cost the same in steps of so many. */
    virtual int slot_step() const { return 1; }
    /** Leaves out the text's next rows. */
    virtual void leave_out(int /*rows*/) {}
    /** Adds rows that were left out, from `position` on. @throws Cancelled, Error. */
    virtual void add_late(int /*position*/, const float* /*taps*/, int /*count*/) {}
    /**
     * Adds the text's next rows, `taps` [count, taps · width], and denoises the slots that follow them: tokens at the
     * positions behind them. A row for each slot from `first` on. Where it throws, rows() says which rows are there.
     * @throws Cancelled, Error.
     */
    virtual std::vector<SlotRow> denoise(const float* taps, int count, const std::vector<int32_t>& slots,
                                         int first) = 0;
    /**
     * One slot more behind the `before` slots that were denoised last: it sees those, and none of them sees it. Only
     * for networks that were trained so. @throws Cancelled, Error.
     */
    virtual SlotRow denoise_next(int32_t token, int before) = 0;
};

} // namespace specdiff

#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace specdiff {

/** Logits of denoised slots, in the network's own buffer: read them before its next pass. */
struct SlotRows {
    /** Of the first slot that was asked for; each next one is `size` further. */
    const float* values = nullptr;
    /** Entries of one row. */
    int size = 0;
    /** The tokens that they stand for; null where entry i is token i. */
    const int32_t* tokens = nullptr;
};

/**
 * The network of a block-diffusion drafter and its cache: keys and values made of the target's hidden states for every
 * row of the text. The block's slots see all of them and each other, and never stay.
 */
class BlockNetwork {
  public:
    BlockNetwork() = default;
    virtual ~BlockNetwork() = default;
    BlockNetwork(const BlockNetwork&) = delete;
    BlockNetwork& operator=(const BlockNetwork&) = delete;

    /** Rows of the text in the cache. */
    virtual int rows() const = 0;
    /** Drops those from `length` on. */
    virtual void truncate(int length) = 0;
    /**
     * Adds the text's next rows, `taps` [rows, taps · width], and denoises the slots that follow them: tokens at the
     * positions behind them. Logits of slots from `first` on. Where it throws, rows() says which rows are there.
     * @throws Cancelled, Error.
     */
    virtual SlotRows denoise(const std::vector<float>& taps, const std::vector<int32_t>& slots, int first) = 0;
};

} // namespace specdiff

#pragma once

#include "block_network.h"
#include "drafter.h"
#include "drafters.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace specdiff {

/**
 * The text of a drafter that reads the target's hidden states: rows that its network's cache has, rows that were left
 * out since no slot sees them, and the taps of those that go into it with the next draft.
 */
class TappedText {
  public:
    /** `row_width`: floats of a row's taps. */
    TappedText(std::unique_ptr<BlockNetwork> network, size_t row_width);

    /** Rows of the text that it was told of. */
    int known_rows() const { return network_->rows() + waiting(); }
    /** Rows that the network would add before the next draft. */
    int pending_rows() const;
    /** Slots cost the same in steps of so many. */
    int slot_step() const { return network_->slot_step(); }
    void truncate(int length);
    /** @throws Error where they are not the text's next ones. */
    void add(const TapRows& rows);
    /**
     * Denoises the slots behind a text of `length` rows, after its waiting ones were added: a row for each slot from
     * `first` on. @throws Cancelled, Error.
     */
    std::vector<SlotRow> denoise(int length, const std::vector<int32_t>& slots, int first);
    /** BlockNetwork::denoise_next(). */
    SlotRow denoise_next(int32_t token, int before) { return network_->denoise_next(token, before); }

  private:
    size_t floats(int rows) const { return static_cast<size_t>(rows) * row_width_; }
    std::ptrdiff_t place(int rows) const { return static_cast<std::ptrdiff_t>(floats(rows)); }
    int waiting() const { return static_cast<int>(taps_.size() / row_width_) - left_out_; }
    /** The network's cache has no row of the text. */
    bool empty() const { return network_->rows() == left_out_; }
    void leave_out_unseen();

    std::unique_ptr<BlockNetwork> network_;
    size_t row_width_;
    /**
     * Taps of the rows that the network's cache lacks [rows, taps · width]: of the text's first ones, which were left
     * out, then of those that go into it with the next draft.
     */
    std::vector<float> taps_;
    int left_out_ = 0;
};

/**
 * The network of a drafter on the target's hidden states; null where its file is for llama.cpp, and llama.cpp was not
 * given it.
 * @throws Error where its taps can't be read or its context can't be made.
 */
std::unique_ptr<BlockNetwork> make_block_network(const DrafterResources& resources, const DrafterMetadata& metadata);

/** The token that a network's logit is of. */
inline int32_t token_of(const SlotRow& row, int entry) {
    return row.tokens == nullptr ? entry : row.tokens[entry];
}

/** A slot's distribution over the whole vocabulary [V] at a temperature. @throws Error where its logits
 * are no numbers. */
std::vector<float> slot_distribution(const SlotRow& row, int vocabulary_size, double temperature);

} // namespace specdiff

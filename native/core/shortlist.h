#pragma once

#include "gguf_file.h"
#include "huge_allocator.h"
#include "low_rank.h"

#include <ggml.h>

#include <array>
#include <cstdint>
#include <vector>

namespace specdiff {

/**
 * A slot's likeliest entries with their logits, without the whole head: a head of low rank says which entries to look
 * at, whose own rows are multiplied then. A draft waits for its weights' memory, and the head has 5.0 of 11.7 MB: with
 * 1.6 in its place a draft of the default drafter takes 0.81 to 0.86 of the time (docs/training.md).
 */
class Shortlist {
  public:
    /**
     * Entries whose own rows are looked at. At rank 224 the default drafter's best token is missed in 0.2 % of its
     * slots (0.04 % with 64, which gains no tau and takes longer).
     */
    static constexpr int ENTRIES = 32;
    /** Of a head with more, the low-rank one would take seconds to make. */
    static constexpr int MOST_ENTRIES = 32768;
    /** Of the low-rank head's two matrices: in the same memory more columns say more than more bits. */
    static constexpr ggml_type DOWN_TYPE = GGML_TYPE_Q8_0;
    static constexpr ggml_type UP_TYPE = GGML_TYPE_Q5_0;

    /** What is found of one slot, and room for it. */
    struct Slot {
        /** In no order; at least one. */
        std::vector<int32_t> entries;
        std::vector<float> logits;
        /** The hidden state in 16 bits. */
        std::vector<int16_t> rounded;
    };

    /** @throws Error where the head can't be read. */
    Shortlist(const GgufFile& drafter, const TensorInfo& head, const LowRank& low_rank);

    /** The low-rank head's two matrices: [width → rank] and [rank → vocabulary]. */
    const std::vector<uint8_t>& down() const { return down_; }
    const std::vector<uint8_t>& up() const { return up_; }
    /** Once they are where they are multiplied. */
    void forget_matrices();

    /** With room for everything that score() writes. */
    Slot make_slot() const;
    /**
     * `hidden` [width]: what the head multiplies; `estimates` [vocabulary]: what the low-rank head makes of it. Several
     * threads may score at a time, each into a slot of its own; no memory is asked for.
     */
    void score(const float* hidden, const float* estimates, Slot& slot) const;

  private:
    /** A row that is in blocks of Q8_0. */
    void keep(size_t entry, const uint8_t* blocks);
    /** Of the estimates' greatest, ENTRIES or all; none that is not a number. */
    void choose(const float* estimates, std::vector<int32_t>& entries) const;

    size_t width_;
    size_t vocabulary_;
    std::vector<uint8_t> down_;
    std::vector<uint8_t> up_;
    struct alignas(64) Line {
        std::array<char, 64> bytes;
    };
    size_t row_lines_;
    /** The head's rows: 8-bit weights [width], then the scale of every 32 of them as floats; each in whole lines. */
    std::vector<Line, HugeAllocator<Line>> rows_;
};

} // namespace specdiff

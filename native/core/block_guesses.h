#pragma once

#include "block_drafter.h"
#include "tree_growth.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace specdiff {

/** A denoised block joined with what the lookup says behind any path through it. What it refers to must outlive it. */
class BlockGuesses {
  public:
    /** @param copy the tokens that the slots began from. */
    BlockGuesses(const PlaceChances& chances, const Lookup& lookup, const std::vector<DenoisedSlot>& slots,
                 std::vector<int32_t> copy)
        : chances_(chances), lookup_(lookup), slots_(slots), copy_(std::move(copy)) {}

    /**
     * What may come after `path`, likeliest first, as `judge` is told of it by `source`; without one, each by its own
     * chance. Nothing behind the last slot.
     */
    std::vector<Guess> after(const std::vector<int32_t>& path, const std::string& source, const Judge* judge) const;

  private:
    const PlaceChances& chances_;
    const Lookup& lookup_;
    const std::vector<DenoisedSlot>& slots_;
    std::vector<int32_t> copy_;
};

} // namespace specdiff

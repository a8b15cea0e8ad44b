#pragma once

#include "../core/model.h"
#include "../core/threads.h"

#include <cstdint>
#include <vector>

namespace specdiff::test {

struct TapBits {
    /** Layers that could be read; none where one of them can't. */
    int layers = 0;
    /** Rows of logits, and how many of them differ from those of a target without taps. */
    int rows = 0;
    int different_logits = 0;
    /** Rows of taps, and how many differ from those of the other way; all of them where only one of the two reads. */
    int tap_rows = 0;
    int different_taps = 0;
};

/**
 * The same prompts (the second one longer), chains and trees through three targets: without taps, with them, and with
 * them read from the graph's nodes.
 */
TapBits tap_bits(const Model& model, ThreadPool& threads, const std::vector<int32_t>& taps, int prompt_tokens,
                 int context_tokens);

} // namespace specdiff::test

#pragma once

#include "../core/model.h"
#include "../core/threads.h"

#include <cstdint>
#include <vector>

namespace specdiff::test {

struct TapBits {
    /** Whether the targets whose runner is chosen by themselves keep graphs. */
    bool keeps_graphs = false;
    /** Layers that could be read; none where one of them can't. */
    int layers = 0;
    /** Rows of logits, and how many of the other targets' differ from those of the one without taps. */
    int rows = 0;
    int different_logits = 0;
    /** Rows of taps, and how many of the others' differ from those read from nodes; all where only one of two reads. */
    int tap_rows = 0;
    int different_taps = 0;
};

/**
 * The same prompts (the second one longer), chains and trees through four targets: without taps and with them, by the
 * runner that these take by themselves, and by llama_decode with taps that it hands out and that are read from the
 * graph's nodes.
 */
TapBits tap_bits(const Model& model, ThreadPool& threads, const std::vector<int32_t>& taps, int prompt_tokens,
                 int context_tokens);

} // namespace specdiff::test

#pragma once

#include "gguf_file.h"

#include <cstdint>
#include <optional>

namespace specdiff {

/** Sizes of a block-diffusion drafter (DFlash, Chen et al., arXiv 2602.06036) of the plain kind; see block_shape(). */
struct BlockShape {
    int width = 0;
    int layers = 0;
    int heads = 0;
    int key_heads = 0;
    int head_width = 0;
    /** Entries of a head that rotary positions turn. */
    int rotated = 0;
    int feed_forward = 0;
    /** Hidden states of the target that are fused. */
    int taps = 0;
    /** Tokens that it can draft. */
    int draft_vocabulary = 0;
    /** Their ids are listed in the file (tensor d2t); else they are the target's own, in order. */
    bool reduced = false;
    int32_t mask = 0;
    float rope_base = 10000;
    float epsilon = 1e-5F;
};

/**
 * The sizes of a drafter whose graph we have ourselves (own_block_network.h); nothing where a key or tensor of the file
 * is of a kind that only llama.cpp's graph knows, or does not fit: llama.cpp then has to load it, or says what is
 * wrong.
 */
std::optional<BlockShape> block_shape(const GgufFile& drafter, const GgufFile& target);

} // namespace specdiff

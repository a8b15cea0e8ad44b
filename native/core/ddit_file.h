#pragma once

#include "gguf_file.h"

#include <cstdint>
#include <string>

namespace specdiff {

/**
 * Sizes of a discrete-diffusion language model of the DDiT kind: SEDD (Lou et al., arXiv 2310.16834) and MDLM (Sahoo et
 * al., arXiv 2406.07524) share the network of Peebles and Xie, arXiv 2212.09748, with rotary positions.
 */
struct DditShape {
    std::string architecture;
    int context = 0;
    int width = 0;
    int layers = 0;
    int heads = 0;
    int feed_forward = 0;
    /** Entries of the vector that σ becomes, and of the sinusoids before it. */
    int condition = 0;
    int frequencies = 0;
    /** False: σ is fed as 0 whatever it is. */
    bool time_conditioned = true;
    /** Tokens, mask included; the tables may have more rows, which mean nothing. */
    int vocabulary = 0;
    int embedding_rows = 0;
    int output_rows = 0;
    int32_t mask = 0;
    float rope_base = 10000;
    float epsilon = 1e-5F;
    /** Slots of the blocks it was trained for; 0 for none. */
    int block = 0;

    int head_width() const { return width / heads; }
};

/** Whether an architecture is one of these models: "sedd" or "mdlm". */
bool is_ddit(const std::string& architecture);

/** @throws Error that names the key or the tensor that is missing, or of another shape or type than it must be. */
DditShape check_ddit_file(const GgufFile& file);

} // namespace specdiff

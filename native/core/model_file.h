#pragma once

#include "gguf_file.h"
#include "phrases.h"
#include "place_chances.h"

#include <optional>
#include <string>
#include <vector>

namespace specdiff {

/** What a drafter's file holds. */
enum class DrafterKind {
    /** A block-diffusion drafter on the target's hidden states (architecture dflash). */
    diffusion,
    /** The same weights, but its slots are drafted one after the other, each behind those before it. */
    tapped_causal,
    /** A language model of its own. */
    causal,
    /** A discrete-diffusion language model of its own. */
    sedd,
    mdlm,
};

/** What the converter calls GPT-Neo, whose metadata is gpt2's: llama.cpp by itself must not take it for one. */
inline constexpr const char* GPT_NEO = "gptneo";
inline constexpr const char* GPT_NEO_GRAPH = "gpt2";

/** A diffusion model that reads tokens alone, nothing of the target's. */
bool is_standalone_diffusion(DrafterKind kind);

/** What a drafter's GGUF says about itself (dflash: llama.cpp v0.5.0, src/models/dflash.cpp). */
struct DrafterMetadata {
    std::string name;
    DrafterKind kind = DrafterKind::diffusion;
    /** Layers whose input hidden states it reads. */
    std::vector<int32_t> taps;
    /** Slots of its block. */
    int block_size = 0;
    /** The anchor's slot drafts the first token (DSpark's layout); else it only conditions (DFlash's). */
    bool sample_from_anchor = false;
    /** Slots start from looked-up tokens where the lookup has a match; else from masks. */
    bool slots_from_lookup = false;
    /** Longest suffix that the lookup for its slots may match: what it was trained with. */
    int lookup_longest = 3;
    /** The target's turns of phrase. */
    std::vector<Phrases::Entry> phrases;
    /** Fills the slots of a block-diffusion drafter that nothing is known of. */
    int32_t mask = 0;
    /** What a block-diffusion drafter's slots and looked-up tokens are worth. */
    PlaceChances chances = PlaceChances::usual();
    /** What a standalone diffusion model may draft. */
    int standalone_length = 0;

    int max_draft_length() const {
        if (is_standalone_diffusion(kind)) return standalone_length;
        return sample_from_anchor ? block_size : block_size - 1;
    }
};

/** @throws Error where llama.cpp should not even try to load the file as a causal language model. */
void check_target_file(const GgufFile& file);

/**
 * Checks that `drafter` is a block-diffusion drafter that fits `target`, or a causal or diffusion language model with
 * its tokenizer.
 * @throws Error that says why it does not.
 */
DrafterMetadata check_drafter_file(const GgufFile& drafter, const GgufFile& target);

} // namespace specdiff

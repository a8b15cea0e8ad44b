#pragma once

#include "block_drafter.h"
#include "drafters.h"

#include <memory>

namespace specdiff {

/**
 * Block diffusion on the target's hidden states in one denoising pass (DFlash, arXiv 2602.06036; anchor-first layout
 * and Markov head: DSpark, arXiv 2607.05147), computed by llama.cpp's `dflash` architecture. Null without a drafter
 * model.
 * @throws Error where its context can't be made.
 */
std::unique_ptr<BlockDrafter> make_diffusion_drafter(const DrafterResources& resources);

} // namespace specdiff

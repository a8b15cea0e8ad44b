#pragma once

#include "drafters.h"

#include <memory>

namespace specdiff {

/**
 * Standard speculative decoding with a drafter on the target's hidden states, as EAGLE's (Li et al., arXiv 2401.15077):
 * a block drafter's network whose slots hold the tokens drafted so far, one pass a token. What block diffusion is
 * compared with (docs/training.md). Null where the drafter's file is no such one.
 * @throws Error where its taps can't be read.
 */
std::unique_ptr<Drafter> make_tapped_causal_drafter(const DrafterResources& resources);

} // namespace specdiff

#pragma once

#include "drafters.h"

#include <memory>

namespace specdiff {

/**
 * Drafts with a discrete-diffusion language model of its own, "sedd" or "mdlm" (SpecDiff: Christopher et al., arXiv
 * 2408.05636): γ masked slots after the text, denoised in T steps. Nullptr where there is none among the resources.
 * @throws Error where memory is short.
 */
std::unique_ptr<Drafter> make_standalone_drafter(const DrafterResources& resources);

} // namespace specdiff

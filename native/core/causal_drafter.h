#pragma once

#include "drafters.h"

#include <memory>

namespace specdiff {

/**
 * Standard speculative decoding (Leviathan et al., arXiv 2211.17192): a smaller language model with the target's
 * tokenizer writes the draft token by token. Null without such a model.
 * @throws Error where its context can't be made.
 */
std::unique_ptr<Drafter> make_causal_drafter(const DrafterResources& resources);

} // namespace specdiff

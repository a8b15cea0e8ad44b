#pragma once

#include "block_network.h"
#include "model.h"
#include "model_file.h"
#include "target.h"
#include "threads.h"

#include <memory>

namespace specdiff {

/** The network as llama.cpp has it, for drafters that own_block_network.h has no graph for. @throws Error. */
std::unique_ptr<BlockNetwork> make_llama_block_network(Model model, const DrafterMetadata& metadata, Target& target,
                                                       ThreadPool& threads);

} // namespace specdiff

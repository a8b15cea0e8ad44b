#pragma once

#include "drafter.h"
#include "model_file.h"

#include <memory>
#include <optional>
#include <vector>

namespace specdiff {

/** What drafters may be made of. */
struct DrafterResources {
    Target& target;
    const GgufFile& target_file;
    ThreadPool& threads;
    /** The drafter's weights and what its file says, where one was given and fits. */
    std::optional<Model> model;
    std::optional<DrafterMetadata> metadata;
    /** The file of a drafter that llama.cpp does not load, in place of `model`. */
    std::optional<GgufFile> file;
};

/** The registry: every drafter that the resources allow, cheap ones first: they win where two look equally good.
 * @throws Error where one can't be made. */
std::vector<std::unique_ptr<Drafter>> make_drafters(const DrafterResources& resources);

} // namespace specdiff

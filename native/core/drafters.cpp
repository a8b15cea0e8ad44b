#include "drafters.h"

#include "diffusion_drafter.h"
#include "ngram_drafter.h"

#include <array>
#include <utility>

namespace specdiff {

namespace {

using Factory = std::unique_ptr<Drafter> (*)(const DrafterResources&);

/** The registry: a new drafter is one line here. Cheap ones first: they win where two look equally good. */
constexpr std::array<Factory, 2> FACTORIES = {make_ngram_drafter, make_diffusion_drafter};

} // namespace

std::vector<std::unique_ptr<Drafter>> make_drafters(const DrafterResources& resources) {
    std::vector<std::unique_ptr<Drafter>> drafters;
    for (const auto make : FACTORIES) {
        if (auto drafter = make(resources)) drafters.push_back(std::move(drafter));
    }
    return drafters;
}

} // namespace specdiff

#include "drafters.h"

#include "causal_drafter.h"
#include "diffusion_drafter.h"
#include "joint_drafter.h"
#include "ngram_drafter.h"
#include "standalone_drafter.h"
#include "tapped_causal_drafter.h"

#include <utility>

namespace specdiff {

std::vector<std::unique_ptr<Drafter>> make_drafters(const DrafterResources& resources) {
    std::vector<std::unique_ptr<Drafter>> drafters;
    const auto add = [&](std::unique_ptr<Drafter> drafter) {
        if (drafter != nullptr) drafters.push_back(std::move(drafter));
    };
    add(make_ngram_drafter());
    auto diffusion = make_diffusion_drafter(resources);
    if (diffusion != nullptr) add(make_joint_drafter(*diffusion));
    add(std::move(diffusion));
    add(make_causal_drafter(resources));
    add(make_tapped_causal_drafter(resources));
    add(make_standalone_drafter(resources));
    return drafters;
}

} // namespace specdiff

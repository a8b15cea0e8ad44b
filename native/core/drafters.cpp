#include "drafters.h"

#include <array>

namespace specdiff {

std::vector<std::unique_ptr<Drafter>> make_drafters(const DrafterResources& /*resources*/) { return {}; }

} // namespace specdiff

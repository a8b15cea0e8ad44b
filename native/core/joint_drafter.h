#pragma once

#include "block_drafter.h"

#include <memory>

namespace specdiff {

/** Lookup and a block drafter in one draft. `block` must outlive it. */
std::unique_ptr<Drafter> make_joint_drafter(BlockDrafter& block);

} // namespace specdiff

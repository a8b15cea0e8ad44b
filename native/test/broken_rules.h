#pragma once

#include "../core/acceptance.h"

#include <string>

namespace specdiff::test {

/**
 * Acceptance rules by name: "greedy", "auto", "tokens", "block", "match" and "hybrid" are the product's; the others
 * each have one mistake that people have made, and a statistical test that does not catch them tests nothing.
 * @throws Error for an unknown name.
 */
AcceptanceRule rule_named(const std::string& name);

} // namespace specdiff::test

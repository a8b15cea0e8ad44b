#pragma once

#include "acceptance.h"

#include <string>

namespace specdiff {

/** Rules for sampled jobs, by what a job may ask for. */
enum class RuleChoice { automatic, tokens, block, match, hybrid };

/** "auto", "tokens", "block", "match" or "hybrid". @throws Error for another name. */
RuleChoice rule_choice(const std::string& name);

/**
 * `automatic`: block verification where a draft has drawn tokens, which accepts the most; token-level where it has
 * none, since both then accept alike and this one needs only the rows it comes to.
 */
AcceptanceRule sampled_rule(RuleChoice choice);

/** The rule gains from drawn drafts; sample-and-match accepts each slot's best token more often. */
bool wants_drawn_drafts(RuleChoice choice);

} // namespace specdiff

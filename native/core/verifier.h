#pragma once

#include "acceptance.h"

#include <string>

namespace specdiff {

/** Rules for sampled jobs, by what a job may ask for. */
enum class RuleChoice { automatic, tokens, block, match, hybrid, paper };

/** "auto", "tokens", "block", "match", "hybrid" or "paper". @throws Error for another name. */
RuleChoice rule_choice(const std::string& name);

/**
 * `automatic`: block verification where a draft has drawn tokens, which accepts the most; token-level where it has
 * none, since both then accept alike and this one needs only the rows it comes to. `paper`: token-level for drafts that
 * wants_step_rows(); not exact for more than one denoising step, never chosen but by name.
 */
AcceptanceRule sampled_rule(RuleChoice choice);

/** The rule gains from drawn drafts; sample-and-match accepts each slot's best token more often. */
bool wants_drawn_drafts(RuleChoice choice);

/** Tokens of every denoising step are to be drawn, and to come with the row of their own step as if that were q given
 * the tokens before them, which it is not (docs/exactness.md): SpecDiff as published, arXiv 2408.05636. */
bool wants_step_rows(RuleChoice choice);

} // namespace specdiff

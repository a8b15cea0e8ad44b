#include "verifier.h"

#include "accept_block.h"
#include "accept_hybrid.h"
#include "accept_match.h"
#include "accept_tokens.h"
#include "error.h"

#include <map>

namespace specdiff {

namespace {

/** Which of two exact rules judges may depend on the kinds of q: those are no samples. */
Outcome accept_automatic(const Tree& tree, TargetRows& rows, Rng& rng) {
    return tree.q.empty() ? accept_tokens(tree, rows, rng) : accept_block(tree, rows, rng);
}

} // namespace

RuleChoice rule_choice(const std::string& name) {
    static const std::map<std::string, RuleChoice> choices = {
        {"auto", RuleChoice::automatic}, {"tokens", RuleChoice::tokens}, {"block", RuleChoice::block},
        {"match", RuleChoice::match},    {"hybrid", RuleChoice::hybrid}, {"paper", RuleChoice::paper}};
    const auto found = choices.find(name);
    if (found == choices.end()) {
        throw Error("The acceptance rule must be auto, tokens, block, match, hybrid or paper, not " + name + ".");
    }
    return found->second;
}

AcceptanceRule sampled_rule(RuleChoice choice) {
    switch (choice) {
    case RuleChoice::tokens:
    case RuleChoice::paper:
        return accept_tokens;
    case RuleChoice::block:
        return accept_block;
    case RuleChoice::match:
        return accept_match;
    case RuleChoice::hybrid:
        return accept_hybrid;
    case RuleChoice::automatic:
        break;
    }
    return accept_automatic;
}

bool wants_drawn_drafts(RuleChoice choice) {
    return choice != RuleChoice::match;
}

bool wants_step_rows(RuleChoice choice) {
    return choice == RuleChoice::paper;
}

} // namespace specdiff

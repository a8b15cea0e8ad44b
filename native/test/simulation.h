#pragma once

#include "../core/acceptance.h"
#include "../core/sampler.h"

#include <cstdint>
#include <string>
#include <vector>

namespace specdiff::test {

/**
 * A language given by tables over a small vocabulary V. Contexts of up to `length` − 1 tokens are numbered by length,
 * then in base V: the empty one is 0, the one-token ones 1.. V, and so on.
 */
struct Language {
    int vocabulary = 0;
    int length = 0;
    /** Logits of the target after each context, [contexts, V]: `sampling` makes p of them. */
    std::vector<float> logits;
    SamplingOptions sampling;
    /** q(next | context) of the drafter, [contexts, V]. */
    std::vector<float> q;
};

/** How drafts are made. */
struct DraftKind {
    /**
     * "dense": drawn from q, siblings without replacement; "point": the likeliest of q; "mixed": both in turns;
     * "steps": a draft of two denoising steps that says which token was revealed first; "steps undeclared": the
     * same with every token handed over as drawn, which no rule makes exact.
     */
    std::string q;
    /** Of the whole rest of the text: two branches that branch again; without, a chain. */
    bool tree = false;
    /** Most tokens of a chain. */
    int length = 3;
};

/** p of every context in turn, [contexts, V]. */
std::vector<float> distributions(const Language& language);

/** What `samples` runs gave. */
struct Simulated {
    /** How often each sequence of `length` tokens, in base V, came out. */
    std::vector<uint32_t> counts;
    /** Drafted tokens that were accepted, those past the text's end included. */
    uint64_t accepted = 0;
};

Simulated simulate(const Language& language, const DraftKind& kind, const AcceptanceRule& rule, int samples,
                   uint64_t seed);

} // namespace specdiff::test

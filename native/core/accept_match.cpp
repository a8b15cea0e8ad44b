#include "accept_match.h"

#include "sampler.h"

namespace specdiff {

Outcome accept_match(const Tree& tree, TargetRows& rows, Rng& rng) {
    Walk walk(tree);
    while (true) {
        const auto token = draw(rows.probabilities(walk.node(), walk.tokens()), rng);
        const int child = walk.match(token, tree.first_child(walk.node()));
        if (child == NO_NODE) return walk.end(token);
        walk.accept(child);
    }
}

} // namespace specdiff

#include "accept_tokens.h"

#include "residual.h"

namespace specdiff {

Outcome accept_tokens(const Tree& tree, TargetRows& rows, Rng& rng) {
    Walk walk(tree);
    while (true) {
        Residual rest(rows.probabilities(walk.node(), walk.tokens()));
        int child = tree.first_child(walk.node());
        while (child != NO_NODE && !rest.accepts(tree, child, rng)) {
            rest.reject(tree, child);
            child = tree.next_sibling(child);
        }
        if (child == NO_NODE) return walk.end(rest.draw(rng));
        walk.accept(child);
    }
}

} // namespace specdiff

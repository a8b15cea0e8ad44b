#include "accept_greedy.h"

namespace specdiff {

Outcome accept_greedy(const Tree& tree, TargetRows& rows, Rng& /*rng*/) {
    Walk walk(tree);
    while (true) {
        const auto token = rows.best(walk.node(), walk.tokens());
        const int child = walk.match(token, tree.first_child(walk.node()));
        if (child == NO_NODE) return walk.end(token);
        walk.accept(child);
    }
}

} // namespace specdiff

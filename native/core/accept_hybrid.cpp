#include "accept_hybrid.h"

#include "residual.h"

namespace specdiff {

namespace {

/** The first child from `child` on that is a point mass (or, with `dense`, that is none). */
int of_kind(const Tree& tree, int child, bool dense) {
    while (child != NO_NODE && (tree.row_of(child) != nullptr) != dense)
        child = tree.next_sibling(child);
    return child;
}

int next_of_kind(const Tree& tree, int child, bool dense) {
    return of_kind(tree, tree.next_sibling(child), dense);
}

} // namespace

Outcome accept_hybrid(const Tree& tree, TargetRows& rows, Rng& rng) {
    Walk walk(tree);
    while (true) {
        Residual rest(rows.probabilities(walk.node(), walk.tokens()));
        const int first = tree.first_child(walk.node());
        int child = of_kind(tree, first, true);
        while (child != NO_NODE && !rest.accepts(tree, child, rng)) {
            rest.reject(tree, child);
            child = next_of_kind(tree, child, true);
        }
        if (child == NO_NODE) {
            const auto token = rest.draw(rng);
            child = of_kind(tree, first, false);
            while (child != NO_NODE && tree.at(child).token != token)
                child = next_of_kind(tree, child, false);
            if (child == NO_NODE) return walk.end(token);
        }
        walk.accept(child);
    }
}

} // namespace specdiff

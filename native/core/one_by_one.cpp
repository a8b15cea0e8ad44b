#include "one_by_one.h"

#include "outlook.h"
#include "sampler.h"

namespace specdiff {

namespace {

/** Chance of a token that is not known yet, for the question whether to go on. */
constexpr double LIKELY = 0.8;

void append(Tree& tree, const NextToken& next, const DraftContext& context) {
    if (context.temperature <= 0 || !context.drawn) return tree.append(next.best);
    tree.q.push_back(next.distribution());
    tree.append(draw(tree.q.back(), context.rng), static_cast<int>(tree.q.size()) - 1);
}

} // namespace

Draft one_by_one(const AskNext& ask, int most, const DraftContext& context, const Judge* judge) {
    Draft draft;
    double path = 1;
    for (int place = 0; place < most; ++place) {
        // One more pass, if its token will probably be worth both.
        if (place > 0 && judge != nullptr && !judge->worth(path * LIKELY, place, 1)) break;
        const NextToken next = ask(draft.tree);
        const Slot slot{outlook::CAUSAL, next.outlook, place};
        // Asked before the slot's token is drawn, about what was known then. The tokens before it stay whatever the
        // answer is.
        if (judge != nullptr) {
            path *= judge->chance(slot);
            if (!judge->worth(path, place, 0)) break;
        }
        append(draft.tree, next, context);
        draft.judged.push_back(slot);
    }
    return draft;
}

} // namespace specdiff

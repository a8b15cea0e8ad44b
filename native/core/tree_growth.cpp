#include "tree_growth.h"

#include <algorithm>
#include <deque>
#include <queue>

namespace specdiff {

namespace {

/** A path, and what may come after it. */
struct Place {
    std::vector<int32_t> path;
    std::vector<Guess> guesses;
};

/** What may be added next: a guess of a place. */
struct Candidate {
    double chance;
    int order;
    int parent;
    const Place* place;
    size_t rank;

    const Guess& guess() const { return place->guesses[rank]; }
    /** Likelier first, then the older one. */
    bool operator<(const Candidate& other) const {
        return chance != other.chance ? chance < other.chance : order > other.order;
    }
};

class Grower {
  public:
    Grower(const Continuations& after, int depth, int nodes)
        : after_(after), depth_(static_cast<size_t>(std::max(depth, 0))),
          most_(static_cast<size_t>(std::max(nodes, 0))) {}

    Growth run() {
        open(ROOT, {});
        while (!queue_.empty() && growth_.nodes.size() < most_) {
            const Candidate next = queue_.top();
            queue_.pop();
            const Guess& guess = next.guess();
            const auto node = static_cast<int>(growth_.nodes.size());
            growth_.nodes.push_back({guess.token, next.parent, POINT_MASS});
            growth_.chances.push_back(next.chance);
            growth_.judged.push_back(guess.slot);
            push(next.parent, *next.place, next.rank + 1, next.chance);
            auto path = next.place->path;
            path.push_back(guess.token);
            open(node, std::move(path));
        }
        return std::move(growth_);
    }

  private:
    double chance_of(int node) const { return node == ROOT ? 1 : growth_.chances[static_cast<size_t>(node)]; }

    void open(int node, std::vector<int32_t> path) {
        if (path.size() >= depth_) return;
        places_.push_back({std::move(path), {}});
        Place& place = places_.back();
        place.guesses = after_(place.path);
        push(node, place, 0, 1);
    }

    void push(int parent, const Place& place, size_t rank, double most) {
        if (rank >= place.guesses.size()) return;
        const double chance = std::min(chance_of(parent) * place.guesses[rank].chance, most);
        if (chance > 0) queue_.push({chance, pushed_++, parent, &place, rank});
    }

    const Continuations& after_;
    size_t depth_;
    size_t most_;
    Growth growth_;
    /** Stay where they are. */
    std::deque<Place> places_;
    std::priority_queue<Candidate> queue_;
    int pushed_ = 0;
};

/** Copies `node` of the growth and all below it, first child first. */
void copy_below(const Growth& growth, int node, int parent, int nodes, Draft& draft) {
    int copied = ROOT;
    if (node != ROOT) {
        const auto index = static_cast<size_t>(node);
        copied = static_cast<int>(draft.tree.size());
        draft.tree.nodes.push_back({growth.nodes[index].token, parent, POINT_MASS});
        draft.judged.push_back(growth.judged[index]);
    }
    for (int child = node + 1; child < nodes; ++child) {
        if (growth.nodes[static_cast<size_t>(child)].parent == node) copy_below(growth, child, copied, nodes, draft);
    }
}

} // namespace

Growth grow(const Continuations& after, int depth, int nodes) {
    return Grower(after, depth, nodes).run();
}

Draft draft_of(const Growth& growth, int nodes) {
    Draft draft;
    copy_below(growth, ROOT, ROOT, std::min(nodes, static_cast<int>(growth.nodes.size())), draft);
    return draft;
}

Draft grown_draft(const Continuations& after, const Budget& budget) {
    const Growth growth = grow(after, budget.tokens, budget.nodes);
    return draft_of(growth, budget.judge != nullptr ? budget.judge->prefix(growth.chances).nodes : budget.nodes);
}

} // namespace specdiff

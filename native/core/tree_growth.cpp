#include "tree_growth.h"

#include <algorithm>
#include <queue>

namespace specdiff {

namespace {

/** What may be added next: the `rank`th guess of a slot, or the token at a place of a branch. */
struct Candidate {
    double chance;
    int order;
    int parent;
    int place;
    int rank;   // of a slot's guesses; -1 for a branch's token
    int branch; // -1 for a slot's guess

    /** Likelier first, then the older one. */
    bool operator<(const Candidate& other) const {
        return chance != other.chance ? chance < other.chance : order > other.order;
    }
};

class Grower {
  public:
    Grower(const Guesses& guesses, int depth, int nodes)
        : guesses_(guesses), depth_(depth), most_(static_cast<size_t>(std::max(nodes, 0))) {}

    Growth run() {
        for (size_t branch = 0; branch < guesses_.branches.size(); ++branch)
            push_branch(ROOT, 1, 0, static_cast<int>(branch));
        push_slot(ROOT, 0, 0);
        while (!queue_.empty()) {
            const Candidate next = queue_.top();
            queue_.pop();
            const int32_t token = guess(next).token;
            int node = child(next.parent, token);
            if (node == NO_NODE) {
                if (growth_.nodes.size() >= most_) break;
                node = static_cast<int>(growth_.nodes.size());
                growth_.nodes.push_back({token, next.parent, POINT_MASS});
                growth_.chances.push_back(next.chance);
                push_slot(node, next.place + 1, 0);
            }
            if (next.branch < 0)
                push_slot(next.parent, next.place, next.rank + 1);
            else
                push_branch(node, next.chance, next.place + 1, next.branch);
        }
        return std::move(growth_);
    }

  private:
    const Guess& guess(const Candidate& candidate) const {
        const auto place = static_cast<size_t>(candidate.place);
        if (candidate.branch >= 0) return guesses_.branches[static_cast<size_t>(candidate.branch)][place];
        return guesses_.slots[place][static_cast<size_t>(candidate.rank)];
    }

    void push(Candidate candidate, double before) {
        candidate.chance = before * guess(candidate).chance;
        candidate.order = pushed_++;
        if (candidate.chance > 0) queue_.push(candidate);
    }

    void push_slot(int parent, int place, int rank) {
        const auto slot = static_cast<size_t>(place);
        if (place >= depth_ || slot >= guesses_.slots.size()) return;
        if (static_cast<size_t>(rank) >= guesses_.slots[slot].size()) return;
        push({0, 0, parent, place, rank, -1}, parent == ROOT ? 1 : growth_.chances[static_cast<size_t>(parent)]);
    }

    void push_branch(int parent, double before, int place, int branch) {
        const auto& tokens = guesses_.branches[static_cast<size_t>(branch)];
        if (place >= depth_ || static_cast<size_t>(place) >= tokens.size()) return;
        push({0, 0, parent, place, -1, branch}, before);
    }

    int child(int parent, int32_t token) const {
        for (size_t i = 0; i < growth_.nodes.size(); ++i) {
            if (growth_.nodes[i].parent == parent && growth_.nodes[i].token == token) return static_cast<int>(i);
        }
        return NO_NODE;
    }

    const Guesses& guesses_;
    int depth_;
    size_t most_;
    Growth growth_;
    std::priority_queue<Candidate> queue_;
    int pushed_ = 0;
};

/** Copies `node` of the growth and all below it, first child first. */
void copy_below(const Growth& growth, int node, int parent, int nodes, Tree& tree) {
    int copied = ROOT;
    if (node != ROOT) {
        copied = static_cast<int>(tree.size());
        tree.nodes.push_back({growth.nodes[static_cast<size_t>(node)].token, parent, POINT_MASS});
    }
    for (int child = node + 1; child < nodes; ++child) {
        if (growth.nodes[static_cast<size_t>(child)].parent == node) copy_below(growth, child, copied, nodes, tree);
    }
}

} // namespace

Growth grow(const Guesses& guesses, int depth, int nodes) {
    return Grower(guesses, depth, nodes).run();
}

Tree tree_of(const Growth& growth, int nodes) {
    Tree tree;
    copy_below(growth, ROOT, ROOT, std::min(nodes, static_cast<int>(growth.nodes.size())), tree);
    return tree;
}

int nodes_that_pay(const std::vector<double>& chances, const std::function<double(int)>& pass_ms, double draft_ms) {
    int best = 0;
    double tokens = 1;
    double most = 1 / pass_ms(1);
    for (size_t n = 1; n <= chances.size(); ++n) {
        tokens += chances[n - 1];
        const double value = tokens / (draft_ms + pass_ms(static_cast<int>(n) + 1));
        if (value <= most) continue;
        most = value;
        best = static_cast<int>(n);
    }
    return best;
}

} // namespace specdiff

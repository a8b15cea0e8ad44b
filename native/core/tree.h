#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace specdiff {

/** Index of the root: the last emitted token, which every first drafted token follows. */
constexpr int ROOT = -1;
/** q of a token that was not drawn: looked up, or the argmax of a greedy job. */
constexpr int POINT_MASS = -1;

/** One drafted token. */
struct Node {
    int32_t token;
    /** Index of its parent node, ROOT or smaller than its own. */
    int parent;
    /** Index into Tree::q of the distribution it was drawn from, or POINT_MASS. */
    int q;
};

/** What a drafter proposes: drafted tokens and the distributions they come from. */
struct Tree {
    std::vector<Node> nodes;
    /** Rows of probabilities, each as long as the vocabulary. */
    std::vector<std::vector<float>> q;

    size_t size() const { return nodes.size(); }
    bool empty() const { return nodes.empty(); }
    /** Every node is the child of the one before it. */
    bool is_chain() const {
        for (size_t i = 0; i < nodes.size(); ++i) {
            if (nodes[i].parent != static_cast<int>(i) - 1) return false;
        }
        return true;
    }
    void append(int32_t token, int q_row = POINT_MASS) {
        nodes.push_back({token, static_cast<int>(nodes.size()) - 1, q_row});
    }
};

} // namespace specdiff

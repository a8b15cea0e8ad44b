#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace specdiff {

/** Index of the root: the last emitted token, which every first drafted token follows. */
constexpr int ROOT = -1;
/** q of a token that was not drawn: looked up, revealed in an earlier denoising step, or the best of its slot. */
constexpr int POINT_MASS = -1;
/** Index of no node. */
constexpr int NO_NODE = -2;

/** One drafted token. */
struct Node {
    int32_t token;
    /** Index of its parent node, ROOT or smaller than its own. */
    int parent;
    /** Index into Tree::q of the distribution it was drawn from, or POINT_MASS. */
    int q;
};

/**
 * What a drafter proposes: drafted tokens and the distributions they come from. Siblings stand in the order in which
 * they are tested; q of a node is its distribution given its parent and the siblings before it.
 */
struct Tree {
    std::vector<Node> nodes;
    /** Rows of probabilities, each as long as the vocabulary. */
    std::vector<std::vector<float>> q;

    size_t size() const { return nodes.size(); }
    bool empty() const { return nodes.empty(); }
    const Node& at(int node) const { return nodes[static_cast<size_t>(node)]; }
    /** q [V] that a node was drawn from; nullptr for a point mass. */
    const std::vector<float>* row_of(int node) const {
        const int row = at(node).q;
        return row == POINT_MASS ? nullptr : &q[static_cast<size_t>(row)];
    }

    /** First child of a node or of ROOT; NO_NODE for a leaf. */
    int first_child(int parent) const { return child_from(parent, parent + 1); }
    int next_sibling(int node) const { return child_from(at(node).parent, node + 1); }

    /** Every node is the child of the one before it. */
    bool is_chain() const {
        for (size_t i = 0; i < nodes.size(); ++i) {
            if (nodes[i].parent != static_cast<int>(i) - 1) return false;
        }
        return true;
    }
    /** Nodes of the longest path. */
    int depth() const {
        std::vector<int> depths;
        int deepest = 0;
        for (const auto& node : nodes) {
            depths.push_back(node.parent == ROOT ? 1 : depths[static_cast<size_t>(node.parent)] + 1);
            deepest = std::max(deepest, depths.back());
        }
        return deepest;
    }

    /** Appends to a chain. */
    void append(int32_t token, int q_row = POINT_MASS) {
        nodes.push_back({token, static_cast<int>(nodes.size()) - 1, q_row});
    }

  private:
    int child_from(int parent, int first) const {
        for (int i = first; i < static_cast<int>(nodes.size()); ++i) {
            if (at(i).parent == parent) return i;
        }
        return NO_NODE;
    }
};

} // namespace specdiff

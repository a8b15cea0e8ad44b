#include "branches.h"

#include <llama.h>

#include <algorithm>

namespace specdiff {

namespace {

/** Nodes from the root's child to `node`. */
std::vector<int> path_to(const Tree& tree, int node) {
    std::vector<int> path;
    for (; node != ROOT; node = tree.at(node).parent)
        path.push_back(node);
    std::reverse(path.begin(), path.end());
    return path;
}

std::vector<int> leaves_of(const Tree& tree) {
    std::vector<bool> parent(tree.size(), false);
    for (const auto& node : tree.nodes) {
        if (node.parent != ROOT) parent[static_cast<size_t>(node.parent)] = true;
    }
    std::vector<int> leaves;
    for (size_t i = 0; i < tree.size(); ++i) {
        if (!parent[i]) leaves.push_back(static_cast<int>(i));
    }
    return leaves;
}

} // namespace

const std::vector<std::vector<int32_t>>& Branches::open(llama_context* context, const Tree& tree, int rows, int most) {
    sequences_.assign(tree.size() + 1, {});
    sequences_.front().push_back(TRUNK);
    const auto leaves = leaves_of(tree);
    position_ = rows;
    const auto own = static_cast<int>(leaves.size());
    leaves_ = std::max(own, std::min((own + LEAF_STEP - 1) / LEAF_STEP * LEAF_STEP, most));
    known_.resize(std::max(known_.size(), static_cast<size_t>(leaves_)), 0);
    for (size_t leaf = 0; leaf < static_cast<size_t>(leaves_); ++leaf) {
        const int sequence = FIRST_LEAF + static_cast<int>(leaf);
        if (known_[leaf] < rows) llama_memory_seq_cp(llama_get_memory(context), TRUNK, sequence, known_[leaf], rows);
        known_[leaf] = rows;
        sequences_.front().push_back(sequence);
        if (leaf >= leaves.size()) continue;
        for (const int node : path_to(tree, leaves[leaf]))
            sequences_[static_cast<size_t>(node) + 1].push_back(sequence);
    }
    return sequences_;
}

/** Rows of `branch` that are not on the path and lie before its last row. */
void Branches::bury(llama_context* context, const std::vector<int>& branch, const std::vector<int>& path, int leaf) {
    const auto shared = static_cast<size_t>(
        std::mismatch(branch.begin(), branch.end(), path.begin(), path.end()).first - branch.begin());
    size_t end = shared;
    while (end < branch.size() && branch[end] < path.back())
        ++end;
    if (end == shared) return;
    const int first = position_ + 1 + static_cast<int>(shared);
    llama_memory_seq_cp(llama_get_memory(context), FIRST_LEAF + leaf, GRAVE, first,
                        first + static_cast<int>(end - shared));
}

void Branches::commit(llama_context* context, const Tree& tree, const std::vector<int>& path) {
    if (!path.empty()) {
        const auto kept = sequences_[static_cast<size_t>(path.back()) + 1].front();
        const int first = position_ + 1;
        llama_memory_seq_cp(llama_get_memory(context), kept, TRUNK, first, first + static_cast<int>(path.size()));
        const auto leaves = leaves_of(tree);
        for (size_t leaf = 0; leaf < leaves.size(); ++leaf)
            bury(context, path_to(tree, leaves[leaf]), path, static_cast<int>(leaf));
        // Nodes lie in the cache in their own order, behind the root.
        const int between = path.back() + 1 - static_cast<int>(path.size());
        if (between > 0) {
            int leading = 0;
            while (path[static_cast<size_t>(leading)] == leading)
                ++leading;
            if (dead_cells_ == 0) rows_before_dead_ = first + leading;
            dead_cells_ += between;
        }
    }
    drop(context);
}

void Branches::drop(llama_context* context) {
    for (int leaf = 0; leaf < leaves_; ++leaf)
        llama_memory_seq_rm(llama_get_memory(context), FIRST_LEAF + leaf, position_, -1);
    leaves_ = 0;
}

void Branches::truncate(llama_context* context, int rows) {
    drop(context);
    for (size_t leaf = 0; leaf < known_.size(); ++leaf) {
        if (known_[leaf] <= rows) continue;
        llama_memory_seq_rm(llama_get_memory(context), FIRST_LEAF + static_cast<int>(leaf), rows, -1);
        known_[leaf] = rows;
    }
}

void Branches::free_dead(llama_context* context) {
    if (dead_cells_ > 0) llama_memory_seq_rm(llama_get_memory(context), GRAVE, -1, -1);
    dead_cells_ = 0;
}

void Branches::reset() {
    leaves_ = 0;
    dead_cells_ = 0;
    known_.clear();
}

} // namespace specdiff

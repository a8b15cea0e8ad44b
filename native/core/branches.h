#pragma once

#include "tree.h"

#include <cstdint>
#include <vector>

struct llama_context;

namespace specdiff {

/**
 * A tree's rows in the target's cache: which sequences see which rows, and what becomes of the rows of rejected
 * branches. Every leaf has a sequence of its own, shared by the nodes above it.
 *
 * llama.cpp puts new rows into free cells from the lowest on and can't move cells, and attention sums cells in their
 * order (docs/kernels.md). So a rejected row that lies between accepted ones stays taken, by a sequence that no row
 * sees, until the text before it is evaluated anew; those behind the last accepted row are freed.
 */
class Branches {
  public:
    /** Sequence of the committed text. */
    static constexpr int TRUNK = 0;

    /** Sequences that trees of at most `nodes` nodes need; 1 for chains alone. */
    static int sequences(int nodes) { return nodes > 0 ? nodes + 2 : 1; }

    /**
     * The sequences of the root (first) and of every node, which see the `rows` rows of text that are there. The root
     * has spare ones, at most `most` leaves' in all: llama.cpp reuses the graph of the last pass only where the number
     * of sequences is the same.
     */
    const std::vector<std::vector<int32_t>>& open(llama_context* context, const Tree& tree, int rows, int most);
    /** Keeps the rows of the root and of `path` as text. */
    void commit(llama_context* context, const Tree& tree, const std::vector<int>& path);
    /** The text keeps its first `rows` rows; a tree that was open goes, but for its root. */
    void truncate(llama_context* context, int rows);

    /** Cells that rejected rows hold. */
    int dead_cells() const { return dead_cells_; }
    /** Rows of text that lie before every dead cell: where no more are kept, all dead cells can be freed. */
    int rows_before_dead() const { return rows_before_dead_; }
    void free_dead(llama_context* context);
    /** The memory was cleared. */
    void reset();

  private:
    static constexpr int GRAVE = 1;
    static constexpr int FIRST_LEAF = 2;
    /** Leaves are counted in steps of so many; a tree of seven nodes never has more. */
    static constexpr int LEAF_STEP = 8;

    void bury(llama_context* context, const std::vector<int>& branch, const std::vector<int>& path, int leaf);
    void drop(llama_context* context);

    std::vector<std::vector<int32_t>> sequences_;
    /** Position of the open tree's root, and its leaves with the spare ones; no leaves: none is open. */
    int position_ = 0;
    int leaves_ = 0;
    /** Rows of the text that each leaf's sequence has: copying a row to a sequence is slow enough to do it once. */
    std::vector<int> known_;
    int dead_cells_ = 0;
    int rows_before_dead_ = 0;
};

} // namespace specdiff

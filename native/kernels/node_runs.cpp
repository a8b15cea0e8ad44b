#include "node_runs.h"

#include "buffer_type.h"
#include "matrix_op.h"
#include "rms_norm.h"
#include "row_op.h"

#include <ggml-cpu-impl.h>
#include <ggml-impl.h>

#include <algorithm>
#include <array>

namespace specdiff::kernels {

namespace {

/** Nodes that are computed, one after another from `node` on. */
class Nodes {
  public:
    Nodes() = default;
    Nodes(const ggml_cgraph* graph, int node) : graph_(graph), index_(node) {}

    int index() const { return index_; }
    ggml_tensor* tensor() const { return index_ < graph_->n_nodes ? graph_->nodes[index_] : nullptr; }
    Nodes next() const {
        Nodes then(graph_, index_ + 1);
        while (then.tensor() != nullptr && !computed(then.tensor()))
            ++then.index_;
        return then;
    }

  private:
    static bool computed(const ggml_tensor* x) {
        return !ggml_op_is_empty(x->op) && (x->flags & GGML_TENSOR_FLAG_COMPUTE) != 0;
    }

    const ggml_cgraph* graph_ = nullptr;
    int index_ = 0;
};

bool apart(const ggml_tensor* a, const ggml_tensor* b) {
    const auto *first = static_cast<const char*>(a->data), *second = static_cast<const char*>(b->data);
    return first + ggml_nbytes(a) <= second || second + ggml_nbytes(b) <= first;
}

/** Whether `op` can be computed with `products`: the same activations, whole panels, its result in nobody's way. */
bool joins(const ggml_tensor* op, const MatrixKernels* kernels, const Products& products) {
    const bool alike = op->op == GGML_OP_MUL_MAT && op->src[1] == products.ops[0]->src[1] &&
                       product_kernels(op) == kernels && op->src[0]->ne[1] % PANEL_ROWS == 0 && apart(op, op->src[1]);
    return alike && std::all_of(products.ops, products.ops + products.count,
                                [&](const ggml_tensor* other) { return apart(op, other); });
}

/** Products that are computed together, and the index of their last node. */
struct ProductRun {
    const MatrixKernels* kernels = nullptr; // null: none
    Products products{};
    int last = -1;

    explicit ProductRun(Nodes first) {
        kernels = product_kernels(first.tensor());
        if (kernels == nullptr) return;
        products = {{first.tensor()}, 1};
        last = first.index();
        if (first.tensor()->src[0]->ne[1] % PANEL_ROWS != 0) return;
        for (Nodes node = first.next(); node.tensor() != nullptr && products.count < Products::MOST;
             node = node.next()) {
            if (!joins(node.tensor(), kernels, products)) break;
            products.ops[products.count++] = node.tensor();
            last = node.index();
        }
    }
};

/** Operations on rows that are computed together: each thread its tokens'. */
class RowRun {
  public:
    explicit RowRun(Nodes first) {
        for (Nodes node = first; node.tensor() != nullptr && count_ < MOST; node = node.next()) {
            const RowOp rows = row_op(node.tensor());
            if (rows.tokens == 0 || !follows(node.tensor(), rows)) break;
            nodes_[count_] = node;
            rows_[count_++] = rows;
        }
    }

    int count() const { return count_; }
    int last() const { return nodes_[count_ - 1].index(); }

    /** This thread's tokens. */
    void compute(const ggml_cgraph* graph, const ggml_compute_params* params) const {
        constexpr std::array FUSED{GGML_OP_RMS_NORM, GGML_OP_MUL};
        const int64_t tokens = rows_[0].tokens, begin = tokens * params->ith / params->nth,
                      end = tokens * (params->ith + 1) / params->nth;
        for (int i = 0; i < count_; ++i) {
            const auto* op = nodes_[i].tensor();
            const bool fused = i + 1 < count_ && is_rms_norm_times(op, nodes_[i + 1].tensor()) &&
                               ggml_can_fuse(graph, nodes_[i].index(), FUSED.data(), FUSED.size());
            if (fused) {
                ++i;
                rms_norm_times(op, nodes_[i].tensor(), rows_[i].dimension, begin, end);
            } else {
                compute_rows(params, op, rows_[i], begin, end);
            }
        }
    }

  private:
    /** A block drafter's longest: keys of two layers normalized, rotated and put into their cache, and values. */
    static constexpr int MOST = 10;

    bool follows(const ggml_tensor* op, const RowOp& rows) const {
        if (count_ > 0 && rows.tokens != rows_[0].tokens) return false;
        // A single token's operations are one thread's.
        for (int i = 0; i < count_ && rows.tokens > 1; ++i) {
            if (!rows_follow(nodes_[i].tensor(), op, rows_[i], rows)) return false;
        }
        return true;
    }

    std::array<Nodes, MOST> nodes_{};
    std::array<RowOp, MOST> rows_{};
    int count_ = 0;
};

/** Node `index` to place `to`, those between one further. */
void move_node(ggml_cgraph* graph, int index, int to) {
    std::rotate(graph->nodes + to, graph->nodes + index, graph->nodes + index + 1);
}

} // namespace

int compute_run(const ggml_cgraph* graph, int node, const ggml_compute_params* params) {
    const Nodes first(graph, node);
    const ProductRun products(first);
    if (products.kernels != nullptr) {
        if (products.products.count == 1) return 0;
        compute_matrices(*products.kernels, params, products.products);
        return products.last - node;
    }
    const RowRun rows(first);
    if (rows.count() < 2) return 0;
    rows.compute(graph, params);
    return rows.last() - node;
}

void order_nodes(ggml_cgraph* graph) {
    /** How far behind a product another of the same activations is looked for: rotations and views lie between. */
    constexpr int REACH = 24;
    for (int i = 0; i < graph->n_nodes; ++i) {
        const auto* op = graph->nodes[i];
        if (op->op != GGML_OP_MUL_MAT) continue;
        int place = i + 1;
        for (int j = i + 1; j < std::min(graph->n_nodes, i + REACH); ++j) {
            const auto* other = graph->nodes[j];
            // Weights are nobody's result, and the activations are there already: nothing that it needs lies between.
            if (other->op == GGML_OP_MUL_MAT && other->src[1] == op->src[1] && other->src[0]->op == GGML_OP_NONE)
                move_node(graph, j, place++);
        }
        i = place - 1;
    }
}

} // namespace specdiff::kernels

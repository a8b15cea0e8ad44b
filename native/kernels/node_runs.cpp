#include "node_runs.h"

#include "buffer_type.h"
#include "fetch.h"
#include "matrix_op.h"
#include "rms_norm.h"
#include "row_op.h"

#include <ggml-cpu-impl.h>
#include <ggml-impl.h>

#include <algorithm>
#include <array>
#include <cstddef>

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

/** An operation on rows and where it is; a norm with the product behind it that it is computed with. */
struct RowNode {
    Nodes node;
    RowOp rows{};
    const ggml_tensor* norm = nullptr;

    /** Without tokens where the node is no operation on rows. */
    static RowNode at(const ggml_cgraph* graph, Nodes node) {
        constexpr std::array PAIR{GGML_OP_RMS_NORM, GGML_OP_MUL};
        const auto* op = node.tensor();
        if (op->op == PAIR[0] && ggml_can_fuse(graph, node.index(), PAIR.data(), PAIR.size())) {
            const Nodes behind(graph, node.index() + 1);
            if (is_rms_norm_times(op, behind.tensor())) {
                const RowOp norm = row_op(op);
                RowNode both{behind, row_op(behind.tensor()), op};
                std::for_each(norm.read, norm.read + norm.reads, [&](const Region& x) { both.rows.reads_too(x); });
                return both;
            }
        }
        return {node, row_op(op), nullptr};
    }

    const ggml_tensor* op() const { return node.tensor(); }
};

/** Operations on rows that are computed together: each thread its tokens'. */
class RowRun {
  public:
    RowRun(const ggml_cgraph* graph, Nodes first) {
        for (Nodes node = first; node.tensor() != nullptr && count_ < MOST; node = nodes_[count_ - 1].node.next()) {
            const auto next = RowNode::at(graph, node);
            if (next.rows.tokens == 0 || !follows(next)) break;
            nodes_[count_++] = next;
        }
    }

    /** Number of the last node: the first one's where nothing can be computed with it. */
    int last() const { return count_ > 0 ? nodes_[count_ - 1].node.index() : -1; }

    /** This thread's tokens. */
    void compute(const ggml_compute_params* params) const {
        const int64_t tokens = nodes_[0].rows.tokens, begin = tokens * params->ith / params->nth,
                      end = tokens * (params->ith + 1) / params->nth;
        for (int i = 0; i < count_; ++i) {
            const auto& node = nodes_[i];
            if (node.norm != nullptr)
                rms_norm_times(node.norm, node.op(), node.rows.dimension, begin, end);
            else
                compute_rows(params, node.op(), node.rows, begin, end);
        }
    }

  private:
    /** A block drafter's longest: keys of two layers normalized, rotated and put into their cache, and values. */
    static constexpr int MOST = 8;

    bool follows(const RowNode& next) const {
        return std::all_of(nodes_.begin(), nodes_.begin() + count_,
                           [&](const RowNode& before) { return rows_follow(before.rows, next.rows); });
    }

    std::array<RowNode, MOST> nodes_{};
    int count_ = 0;
};

/** What of a tensor is looked at, without its name. */
constexpr size_t TENSOR_BYTES = offsetof(ggml_tensor, name);

void fetch_tensor(const ggml_tensor* x) {
    for (size_t at = 0; at < TENSOR_BYTES; at += CACHE_LINE)
        __builtin_prefetch(reinterpret_cast<const char*>(x) + at);
}

/**
 * Before the nodes from `first` to `last` are computed, as many that come soon: while a layer's weights are read none
 * of a graph stays in the caches, and from node to source to data each waits for the one before.
 */
void fetch_nodes(const ggml_cgraph* graph, int first, int last) {
    /** A layer and a half, and a layer: 8 and 4 gain less. */
    constexpr int NODES_AHEAD = 48, SOURCES_AHEAD = 32;
    const int then = Nodes(graph, last).next().index();
    const auto each = [&](int ahead, auto&& visit) {
        const int end = std::min(then + ahead, graph->n_nodes);
        for (int i = first + ahead; i < end; ++i)
            visit(graph->nodes[i]);
    };
    each(NODES_AHEAD, fetch_tensor);
    each(SOURCES_AHEAD, [](const ggml_tensor* op) {
        for (int i = 0; i < GGML_MAX_SRC && op->src[i] != nullptr; ++i)
            fetch_tensor(op->src[i]);
    });
}

/** Node `index` to place `to`, those between one further. */
void move_node(ggml_cgraph* graph, int index, int to) {
    std::rotate(graph->nodes + to, graph->nodes + index, graph->nodes + index + 1);
}

const ggml_tensor* root_of(const ggml_tensor* x) {
    return x->view_src != nullptr ? x->view_src : x;
}

/** Whether `op` changes what `x` lies in. */
bool writes_to(const ggml_tensor* op, const ggml_tensor* x) {
    return !ggml_op_is_empty(op->op) && op->view_src != nullptr && op->view_src == root_of(x);
}

/** Whether `op` could be computed behind `product` as well, before what lies between: of the same activations. */
bool moves_to(const ggml_tensor* op, const ggml_tensor* product) {
    return op->op == GGML_OP_MUL_MAT && op->src[1] == product->src[1] && op->src[0]->op == GGML_OP_NONE &&
           op->src[0]->view_src == nullptr;
}

} // namespace

int compute_run(const ggml_cgraph* graph, int node, const ggml_compute_params* params) {
    const Nodes first(graph, node);
    const ProductRun products(first);
    if (products.kernels != nullptr) {
        fetch_nodes(graph, node, products.last);
        if (products.products.count == 1) return 0;
        compute_matrices(*products.kernels, params, products.products);
        return products.last - node;
    }
    const RowRun rows(graph, first);
    const int last = std::max(rows.last(), node);
    fetch_nodes(graph, node, last);
    if (last == node) return 0;
    rows.compute(params);
    return last - node;
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
            if (writes_to(other, op->src[1])) break;
            if (!moves_to(other, op)) continue;
            // Weights are nobody's result, but may be written to.
            const bool changed = std::any_of(graph->nodes + place, graph->nodes + j, [&](const ggml_tensor* between) {
                return writes_to(between, other->src[0]);
            });
            if (!changed) move_node(graph, j, place++);
        }
        i = place - 1;
    }
}

} // namespace specdiff::kernels

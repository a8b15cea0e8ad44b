// Several nodes of a graph computed with one barrier behind them instead of one each.
#pragma once

struct ggml_cgraph;
struct ggml_compute_params;

namespace specdiff::kernels {

/**
 * Computes this thread's part of node `node` and of those behind it that can be computed with it; returns the number of
 * the last one less `node`, 0 where there is none. Two kinds:
 *  - products of the same activations, which are quantized once;
 *  - operations on rows, each thread its tokens' (row_op.h).
 */
int compute_run(const ggml_cgraph* graph, int node, const ggml_compute_params* params);

/** Brings products of the same activations together; before the graph's tensors have memory. */
void order_nodes(ggml_cgraph* graph);

} // namespace specdiff::kernels

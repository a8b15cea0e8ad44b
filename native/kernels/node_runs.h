// Several nodes of a graph computed with one barrier behind them instead of one each.
#pragma once

struct ggml_cgraph;
struct ggml_compute_params;

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Called by the hook in ggml-cpu.c, by every thread before it computes node `node`. Computes this thread's part of that
 * node and of those behind it that need no barrier between them, and returns the number of the last one less `node`; 0:
 * nothing was computed. Two kinds:
 *  - products of the same activations, which are quantized once;
 *  - operations on rows, each thread its tokens' (row_op.h).
 */
int specdiff_compute_run(const struct ggml_cgraph* graph, int node, const struct ggml_compute_params* params);

/** Called by the hook in ggml-cpu.cpp before a graph's tensors get their memory: brings products of the same activations together. */
void specdiff_order_nodes(struct ggml_cgraph* graph);

#ifdef __cplusplus
}
#endif

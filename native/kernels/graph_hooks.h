// What the hooks in llama.cpp's CPU backend call, which is in part C.
#pragma once

struct ggml_cgraph;
struct ggml_compute_params;

#ifdef __cplusplus
extern "C" {
#endif

/**
 * From ggml-cpu.c, by every thread before it computes node `node`. Computes this thread's part of that node and of
 * those behind it that need no barrier between them (node_runs.h), and returns the number of the last one less `node`;
 * 0: nothing was computed.
 */
int specdiff_compute_run(const struct ggml_cgraph* graph, int node, const struct ggml_compute_params* params);

/** From ggml-cpu.cpp, before a new graph's tensors get their memory. */
void specdiff_prepare_graph(struct ggml_cgraph* graph);

#ifdef __cplusplus
}
#endif

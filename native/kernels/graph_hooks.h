// What the hooks in llama.cpp's CPU backend call, which is in part C.
#pragma once

struct ggml_cgraph;
struct ggml_compute_params;
struct ggml_threadpool;

#ifdef __cplusplus
extern "C" {
#endif

/**
 * From ggml-cpu.c, by every thread before it computes node `node`. Computes this thread's part of that node and of
 * those behind it that need no barrier between them (node_runs.h), and returns the number of the last one less `node`;
 * 0: nothing was computed.
 */
int specdiff_compute_run(const struct ggml_cgraph* graph, int node, const struct ggml_compute_params* params);

/** In ggml-cpu.c: how many barriers the pool's threads have passed; the same for all of them until they meet at the
 * next. */
int specdiff_barriers(const struct ggml_threadpool* pool);

/**
 * In ggml-cpu.c: 0, 1, 2, … for whoever asks, from 0 again behind each barrier. llama.cpp's own counter has to be set,
 * which takes a barrier of its own.
 */
int specdiff_next_piece(struct ggml_threadpool* pool, int barriers);

/** From ggml-cpu.cpp, and for graphs that no scheduler brings (native/core/backend.h), before a new graph's tensors get
 * their memory. */
void specdiff_prepare_graph(struct ggml_cgraph* graph);

#ifdef __cplusplus
}
#endif

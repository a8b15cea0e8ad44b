#include "graph_hooks.h"

#include "cache_memory.h"
#include "cpu_features.h"
#include "node_runs.h"

int specdiff_compute_run(const ggml_cgraph* graph, int node, const ggml_compute_params* params) {
    using namespace specdiff::kernels;
    return kernels() != nullptr ? compute_run(graph, node, params) : 0;
}

__attribute__((visibility("default"))) void specdiff_prepare_graph(ggml_cgraph* graph) {
    using namespace specdiff::kernels;
    if (kernels() == nullptr) return;
    order_nodes(graph);
    prepare_caches(graph);
}

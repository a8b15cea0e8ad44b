#include "graph_memory.h"

#include "backend.h"

#include <ggml-alloc.h>
#include <ggml-backend.h>

namespace specdiff {

void GraphMemory::Release::operator()(ggml_gallocr* allocator) const {
    ggml_gallocr_free(allocator);
}

GraphMemory::GraphMemory(ggml_backend* cpu) : allocator_(ggml_gallocr_new(ggml_backend_get_default_buffer_type(cpu))) {}

GraphMemory::Given GraphMemory::give(ggml_cgraph* graph) {
    prepare_cpu_graph(graph);
    const size_t before = bytes();
    // Reserved for itself: the allocator takes a graph of as many nodes for the last one, whose order may be another.
    if (!ggml_gallocr_reserve(allocator_.get(), graph) || !ggml_gallocr_alloc_graph(allocator_.get(), graph))
        return Given::failed;
    return bytes() == before || before == 0 ? Given::kept : Given::others_lost;
}

size_t GraphMemory::bytes() const {
    return ggml_gallocr_get_buffer_size(allocator_.get(), 0);
}

} // namespace specdiff

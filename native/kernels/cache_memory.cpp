#include "cache_memory.h"

#include "huge_pages.h"

#include <ggml-backend.h>
#include <ggml-impl.h>

#include <mutex>
#include <set>

namespace specdiff::kernels {

namespace {

/** Where buffers begin that were met. One that another took the place of keeps what it has: that costs speed only. */
class Met {
  public:
    bool first_time(const void* base) {
        const std::lock_guard<std::mutex> lock(mutex_);
        return bases_.insert(base).second;
    }

  private:
    std::mutex mutex_;
    std::set<const void*> bases_;
};

void prepare_cache(const ggml_tensor* view) {
    static Met met;
    const auto* cache = view->view_src != nullptr ? view->view_src : view;
    auto* buffer = cache->buffer;
    if (buffer == nullptr || !ggml_backend_buffer_is_host(buffer)) return;
    auto* base = ggml_backend_buffer_get_base(buffer);
    if (met.first_time(base)) move_to_huge_pages(base, ggml_backend_buffer_get_size(buffer));
}

} // namespace

void prepare_caches(const ggml_cgraph* graph) {
    for (int i = 0; i < graph->n_nodes; ++i) {
        const auto* op = graph->nodes[i];
        if (op->op != GGML_OP_FLASH_ATTN_EXT) continue;
        prepare_cache(op->src[1]);
        prepare_cache(op->src[2]);
    }
}

} // namespace specdiff::kernels

#include "cache_view.h"

#include <ggml.h>

#include <cstddef>
#include <initializer_list>

namespace specdiff {

void CacheView::see(int first, int cells) const {
    const auto* const cache = view->view_src;
    const size_t offset = static_cast<size_t>(first) * cache->nb[1];
    for (auto* const tensor : {view, turned}) {
        tensor->view_offs = offset;
        tensor->data = static_cast<char*>(cache->data) + offset;
    }
    view->ne[2] = cells;
    turned->ne[1] = cells;
}

void see_cells(ggml_tensor& mask, int cells) {
    mask.ne[0] = cells;
    mask.nb[1] = static_cast<size_t>(cells) * mask.nb[0];
    mask.nb[2] = mask.nb[3] = mask.nb[1] * static_cast<size_t>(mask.ne[1]);
}

} // namespace specdiff

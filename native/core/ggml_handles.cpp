#include "ggml_handles.h"

#include <ggml-backend.h>
#include <ggml.h>

namespace specdiff {

void ReleaseGgml::operator()(ggml_context* context) const {
    ggml_free(context);
}
void ReleaseGgml::operator()(ggml_backend* backend) const {
    ggml_backend_free(backend);
}
void ReleaseGgml::operator()(ggml_backend_buffer* buffer) const {
    ggml_backend_buffer_free(buffer);
}

GgmlContext make_ggml_context(size_t bytes) {
    ggml_init_params params{};
    params.mem_size = bytes;
    params.no_alloc = true;
    return GgmlContext(ggml_init(params));
}

} // namespace specdiff

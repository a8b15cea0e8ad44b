#pragma once

#include <cstddef>
#include <memory>

struct ggml_backend;
struct ggml_backend_buffer;
struct ggml_context;

namespace specdiff {

struct ReleaseGgml {
    void operator()(ggml_context* context) const;
    void operator()(ggml_backend* backend) const;
    void operator()(ggml_backend_buffer* buffer) const;
};
using GgmlContext = std::unique_ptr<ggml_context, ReleaseGgml>;
using Backend = std::unique_ptr<ggml_backend, ReleaseGgml>;
using GgmlBuffer = std::unique_ptr<ggml_backend_buffer, ReleaseGgml>;

/** A context of so many bytes for descriptions of tensors and graphs, whose memory comes later; null where memory is
 * short. */
GgmlContext make_ggml_context(size_t bytes);

} // namespace specdiff

#include "fill_op.h"

#include <ggml-cpu-impl.h>

#include <algorithm>
#include <cstring>

namespace specdiff::kernels {

bool fill_is_ours(const ggml_tensor* op) {
    return op->op == GGML_OP_FILL && op->type == GGML_TYPE_F32 && ggml_is_contiguous(op);
}

void compute_fill(const ggml_compute_params* params, ggml_tensor* op) {
    float value;
    std::memcpy(&value, op->op_params, sizeof(value));
    const int64_t count = ggml_nelements(op);
    auto* const data = static_cast<float*>(op->data);
    std::fill(data + count * params->ith / params->nth, data + count * (params->ith + 1) / params->nth, value);
}

} // namespace specdiff::kernels

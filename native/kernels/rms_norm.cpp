#include "rms_norm.h"

#include <cmath>
#include <cstring>

namespace specdiff::kernels {

namespace {

constexpr int SUMS = 16;

float mean_square(const float* x, int64_t count) {
    float sums[SUMS] = {};
    const int64_t whole = count / SUMS * SUMS;
    for (int64_t i = 0; i < whole; i += SUMS) {
        for (int s = 0; s < SUMS; ++s)
            sums[s] += x[i + s] * x[i + s];
    }
    for (int64_t i = whole; i < count; ++i)
        sums[i - whole] += x[i] * x[i];
    for (int step = SUMS / 2; step > 0; step /= 2) {
        for (int s = 0; s < step; ++s)
            sums[s] += sums[s + step];
    }
    return sums[0] / static_cast<float>(count);
}

const ggml_tensor* weights_of(const ggml_tensor* norm, const ggml_tensor* product) {
    return product->src[0] == norm ? product->src[1] : product->src[0];
}

} // namespace

bool is_rms_norm_times(const ggml_tensor* norm, const ggml_tensor* product) {
    if (norm->op != GGML_OP_RMS_NORM || product->op != GGML_OP_MUL) return false;
    const auto *x = norm->src[0], *weights = weights_of(norm, product);
    const bool floats = x->type == GGML_TYPE_F32 && x->nb[0] == sizeof(float) && weights->type == GGML_TYPE_F32 &&
                        product->type == GGML_TYPE_F32 && product->nb[0] == sizeof(float);
    return floats && ggml_is_vector(weights) && ggml_is_contiguous(weights) && weights->ne[0] == x->ne[0] &&
           x->ne[3] == 1;
}

void rms_norm_times(const ggml_tensor* norm, const ggml_tensor* product, int dimension, int64_t begin, int64_t end) {
    const auto* source = norm->src[0];
    const auto* weights = static_cast<const float*>(weights_of(norm, product)->data);
    float epsilon;
    std::memcpy(&epsilon, norm->op_params, sizeof(epsilon));
    const int64_t count = source->ne[0];
    const int other = 3 - dimension; // of the dimensions 1 and 2
    for (int64_t token = begin; token < end; ++token) {
        for (int64_t part = 0; part < source->ne[other]; ++part) {
            const auto place = [&](const ggml_tensor* tensor) {
                return static_cast<char*>(tensor->data) + static_cast<size_t>(token) * tensor->nb[dimension] +
                       static_cast<size_t>(part) * tensor->nb[other];
            };
            const auto* x = reinterpret_cast<const float*>(place(source));
            auto* y = reinterpret_cast<float*>(place(product));
            const float scale = 1.0f / std::sqrt(mean_square(x, count) + epsilon);
            for (int64_t i = 0; i < count; ++i)
                y[i] = x[i] * scale * weights[i];
        }
    }
}

} // namespace specdiff::kernels

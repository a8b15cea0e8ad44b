#include "exercise.h"

#include "error.h"

#include <ggml-alloc.h>
#include <ggml-backend.h>
#include <ggml.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

namespace specdiff {

namespace {

// Multiples of every block and panel size that CPU kernels have.
constexpr int64_t COLUMNS = 512;
constexpr int64_t ROWS = 64;
constexpr std::array<int64_t, 2> BATCHES = {1, 32};
constexpr std::array<ggml_type, 8> TYPES = {GGML_TYPE_Q4_0, GGML_TYPE_Q4_1, GGML_TYPE_Q5_0, GGML_TYPE_Q8_0,
                                            GGML_TYPE_Q4_K, GGML_TYPE_Q6_K, GGML_TYPE_F16,  GGML_TYPE_BF16};

struct Release {
    void operator()(ggml_context* context) const { ggml_free(context); }
    void operator()(ggml_backend* backend) const { ggml_backend_free(backend); }
    void operator()(ggml_backend_buffer* buffer) const { ggml_backend_buffer_free(buffer); }
};
using Context = std::unique_ptr<ggml_context, Release>;
using Backend = std::unique_ptr<ggml_backend, Release>;
using Buffer = std::unique_ptr<ggml_backend_buffer, Release>;

Context make_context() {
    ggml_init_params params{};
    params.mem_size = 16 * ggml_tensor_overhead() + ggml_graph_overhead();
    params.no_alloc = true;
    Context context(ggml_init(params));
    if (context == nullptr) throw Error("No memory to try the CPU: free some and try again.");
    return context;
}

std::vector<float> wave(int64_t count) {
    std::vector<float> values(static_cast<size_t>(count));
    for (size_t i = 0; i < values.size(); ++i)
        values[i] = std::sin(static_cast<float>(i) * 0.37F);
    return values;
}

std::vector<uint8_t> quantized(ggml_type type) {
    const auto values = wave(COLUMNS * ROWS);
    std::vector<uint8_t> data(ggml_row_size(type, COLUMNS) * ROWS);
    ggml_quantize_chunk(type, values.data(), data.data(), 0, ROWS, COLUMNS, nullptr);
    return data;
}

/** The backend's own answer whether it multiplies with weights of `type` kept in `buffer_type`, asked as llama.cpp
 * does. */
bool supported(ggml_backend_dev_t device, ggml_backend_buffer_type_t buffer_type, ggml_type type) {
    const Context context = make_context();
    auto* weights = ggml_new_tensor_2d(context.get(), type, COLUMNS, ROWS);
    auto* input = ggml_new_tensor_2d(context.get(), GGML_TYPE_F32, COLUMNS, BATCHES.back());
    auto* product = ggml_mul_mat(context.get(), weights, input);
    const Buffer empty(ggml_backend_buft_alloc_buffer(buffer_type, 0));
    weights->buffer = empty.get();
    const bool result = ggml_backend_dev_supports_op(device, product);
    weights->buffer = nullptr;
    return result;
}

void multiply(ggml_backend_t backend, ggml_backend_buffer_type_t buffer_type, ggml_type type, int64_t batch) {
    const Context kept = make_context();
    auto* weights = ggml_new_tensor_2d(kept.get(), type, COLUMNS, ROWS);
    const Buffer weight_buffer(ggml_backend_alloc_ctx_tensors_from_buft(kept.get(), buffer_type));
    const Context work = make_context();
    auto* input = ggml_new_tensor_2d(work.get(), GGML_TYPE_F32, COLUMNS, batch);
    auto* product = ggml_mul_mat(work.get(), weights, input);
    const Buffer work_buffer(ggml_backend_alloc_ctx_tensors(work.get(), backend));
    if (weight_buffer == nullptr || work_buffer == nullptr) {
        throw Error("No memory to try the CPU: free some and try again.");
    }
    ggml_backend_buffer_set_usage(weight_buffer.get(), GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
    const auto data = quantized(type);
    ggml_backend_tensor_set(weights, data.data(), 0, data.size());
    const auto values = wave(COLUMNS * batch);
    ggml_backend_tensor_set(input, values.data(), 0, values.size() * sizeof(float));
    auto* graph = ggml_new_graph(work.get());
    ggml_build_forward_expand(graph, product);
    if (ggml_backend_graph_compute(backend, graph) != GGML_STATUS_SUCCESS) {
        throw Error(std::string("The CPU library can't multiply ") + ggml_type_name(type) +
                    " matrices: choose another library.");
    }
}

} // namespace

void exercise_cpu(int threads) {
    auto* const device = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    if (device == nullptr) throw Error("No CPU backend is loaded: initialize the backends first.");
    auto* const registry = ggml_backend_dev_backend_reg(device);
    const Backend backend(ggml_backend_dev_init(device, nullptr));
    if (backend == nullptr) throw Error("The CPU backend can't be started: choose another library.");
    auto* const set_threads = reinterpret_cast<ggml_backend_set_n_threads_t>(
        ggml_backend_reg_get_proc_address(registry, "ggml_backend_set_n_threads"));
    if (set_threads != nullptr) set_threads(backend.get(), std::max(threads, 1));

    std::vector<ggml_backend_buffer_type_t> buffer_types = {ggml_backend_dev_buffer_type(device)};
    auto* const extra = reinterpret_cast<ggml_backend_dev_get_extra_bufts_t>(
        ggml_backend_reg_get_proc_address(registry, "ggml_backend_dev_get_extra_bufts"));
    if (extra != nullptr) {
        for (auto* next = extra(device); next != nullptr && *next != nullptr; ++next)
            buffer_types.push_back(*next);
    }
    for (auto* buffer_type : buffer_types) {
        for (const auto type : TYPES) {
            if (!supported(device, buffer_type, type)) continue;
            for (const auto batch : BATCHES)
                multiply(backend.get(), buffer_type, type, batch);
        }
    }
}

} // namespace specdiff

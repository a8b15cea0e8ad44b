#include "exercise.h"

#include "cpu_weights.h"
#include "error.h"
#include "ggml_handles.h"
#include "row_floats.h"

#include <ggml-alloc.h>
#include <ggml-backend.h>
#include <ggml.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

namespace specdiff {

namespace {

using Floats = std::vector<float>;

// Multiples of every block and panel size that CPU kernels have.
constexpr int64_t COLUMNS = 512;
constexpr int64_t ROWS = 64;
constexpr std::array<int64_t, 4> BATCHES = {1, 7, 32, 80};
constexpr std::array<ggml_type, 10> TYPES = {GGML_TYPE_Q4_0, GGML_TYPE_Q4_1, GGML_TYPE_Q5_0, GGML_TYPE_Q5_1,
                                             GGML_TYPE_Q8_0, GGML_TYPE_Q4_K, GGML_TYPE_Q5_K, GGML_TYPE_Q6_K,
                                             GGML_TYPE_F16,  GGML_TYPE_BF16};
constexpr std::array<ggml_type, 2> CACHE_TYPES = {GGML_TYPE_F16, GGML_TYPE_Q8_0};
constexpr int64_t DIM = 64;
constexpr int64_t CACHE_HEADS = 2;
constexpr int64_t HEADS = 6;
constexpr int64_t CELLS = 288;
/** Distance from the exact result, relative to it: activations in 8 bits or 16 leave below 1 %, a mistake far more. */
constexpr double MOST_ERROR = 0.03;

GgmlContext make_context() {
    auto context = make_ggml_context(16 * ggml_tensor_overhead() + ggml_graph_overhead());
    if (context == nullptr) throw Error("No memory to try the CPU: free some and try again.");
    return context;
}

/** Numbers between −1 and 1 without a pattern, the same ones every time. */
Floats noise(int64_t count, uint32_t seed) {
    Floats values(static_cast<size_t>(count));
    uint32_t state = seed;
    for (auto& value : values) {
        state = state * 1664525U + 1013904223U;
        value = static_cast<float>(state >> 8U) / 8388608.0F - 1.0F;
    }
    return values;
}

/** Rows of a tensor's type, and the numbers that they stand for. */
struct Quantized {
    std::vector<uint8_t> data;
    Floats values;

    Quantized(ggml_type type, int64_t columns, int64_t rows, uint32_t seed)
        : data(ggml_row_size(type, columns) * static_cast<size_t>(rows)), values(noise(columns * rows, seed)) {
        ggml_quantize_chunk(type, values.data(), data.data(), 0, rows, columns, nullptr);
        to_floats(type, data.data(), values.data(), columns * rows);
    }
};

/** Throws unless `result` is near `exact`; a NaN is not. */
void check(const Floats& result, const std::vector<double>& exact, const std::string& what) {
    double difference = 0;
    double size = 0;
    for (size_t i = 0; i < exact.size(); ++i) {
        difference += (result[i] - exact[i]) * (result[i] - exact[i]);
        size += exact[i] * exact[i];
    }
    const double error = std::sqrt(difference / size);
    if (error <= MOST_ERROR) return;
    throw Error("The CPU library computes wrong " + what + " (relative error " + std::to_string(error) +
                "): choose another library.");
}

/** Computes `result`, the only operation of its context, and returns its numbers. */
Floats compute(ggml_backend_t backend, ggml_context* context, ggml_tensor* result, const std::string& what) {
    auto* graph = ggml_new_graph(context);
    ggml_build_forward_expand(graph, result);
    if (ggml_backend_graph_compute(backend, graph) != GGML_STATUS_SUCCESS) {
        throw Error("The CPU library can't compute " + what + ": choose another library.");
    }
    Floats values(static_cast<size_t>(ggml_nelements(result)));
    ggml_backend_tensor_get(result, values.data(), 0, values.size() * sizeof(float));
    return values;
}

void set(ggml_tensor* tensor, const void* data) {
    ggml_backend_tensor_set(tensor, data, 0, ggml_nbytes(tensor));
}

void multiply(ggml_backend_t backend, ggml_backend_buffer_type_t buffer_type, ggml_type type, int64_t batch) {
    const GgmlContext kept = make_context();
    auto* weights = ggml_new_tensor_2d(kept.get(), type, COLUMNS, ROWS);
    const GgmlBuffer weight_buffer(ggml_backend_alloc_ctx_tensors_from_buft(kept.get(), buffer_type));
    const GgmlContext work = make_context();
    auto* input = ggml_new_tensor_2d(work.get(), GGML_TYPE_F32, COLUMNS, batch);
    auto* product = ggml_mul_mat(work.get(), weights, input);
    const GgmlBuffer work_buffer(ggml_backend_alloc_ctx_tensors(work.get(), backend));
    if (weight_buffer == nullptr || work_buffer == nullptr) {
        throw Error("No memory to try the CPU: free some and try again.");
    }
    ggml_backend_buffer_set_usage(weight_buffer.get(), GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
    const Quantized matrix(type, COLUMNS, ROWS, 1);
    const auto rows = noise(COLUMNS * batch, 2);
    set(weights, matrix.data.data());
    set(input, rows.data());
    std::vector<double> exact;
    for (int64_t row = 0; row < batch; ++row) {
        for (int64_t out = 0; out < ROWS; ++out) {
            double sum = 0;
            for (int64_t i = 0; i < COLUMNS; ++i)
                sum += static_cast<double>(rows[row * COLUMNS + i]) * matrix.values[out * COLUMNS + i];
            exact.push_back(sum);
        }
    }
    const std::string what = std::string("products of ") + ggml_type_name(type) + " matrices";
    check(compute(backend, work.get(), product, what), exact, what);
}

/** Causal: the last of `batch` rows sees every cell. */
void attend(ggml_backend_t backend, ggml_type type, int64_t batch) {
    const GgmlContext context = make_context();
    auto* queries = ggml_new_tensor_3d(context.get(), GGML_TYPE_F32, DIM, batch, HEADS);
    auto* keys = ggml_new_tensor_3d(context.get(), type, DIM, CELLS, CACHE_HEADS);
    auto* values = ggml_new_tensor_3d(context.get(), type, DIM, CELLS, CACHE_HEADS);
    auto* mask = ggml_new_tensor_2d(context.get(), GGML_TYPE_F16, CELLS, batch);
    const float scale = 1.0F / std::sqrt(static_cast<float>(DIM));
    auto* result = ggml_flash_attn_ext(context.get(), queries, keys, values, mask, scale, 0.0F, 0.0F);
    const GgmlBuffer buffer(ggml_backend_alloc_ctx_tensors(context.get(), backend));
    if (buffer == nullptr) throw Error("No memory to try the CPU: free some and try again.");

    const auto query = noise(DIM * batch * HEADS, 3);
    const Quantized key(type, DIM, CELLS * CACHE_HEADS, 4);
    const Quantized value(type, DIM, CELLS * CACHE_HEADS, 5);
    std::vector<ggml_fp16_t> hidden(static_cast<size_t>(CELLS * batch), ggml_fp32_to_fp16(0.0F));
    for (int64_t row = 0; row < batch; ++row) {
        for (int64_t cell = CELLS - batch + row + 1; cell < CELLS; ++cell)
            hidden[row * CELLS + cell] = ggml_fp32_to_fp16(-INFINITY);
    }
    set(queries, query.data());
    set(keys, key.data.data());
    set(values, value.data.data());
    set(mask, hidden.data());

    std::vector<double> exact; // [batch][head][dim], as the operation's result
    for (int64_t row = 0; row < batch; ++row) {
        for (int64_t head = 0; head < HEADS; ++head) {
            const float* q = &query[(head * batch + row) * DIM];
            const int64_t first = head / (HEADS / CACHE_HEADS) * CELLS;
            std::vector<double> sums(static_cast<size_t>(DIM));
            double total = 0;
            for (int64_t cell = 0; cell <= CELLS - batch + row; ++cell) {
                double score = 0;
                for (int64_t i = 0; i < DIM; ++i)
                    score += static_cast<double>(q[i]) * key.values[(first + cell) * DIM + i];
                const double weight = std::exp(score * scale);
                total += weight;
                for (int64_t i = 0; i < DIM; ++i)
                    sums[i] += weight * value.values[(first + cell) * DIM + i];
            }
            for (const double sum : sums)
                exact.push_back(sum / total);
        }
    }
    const std::string what = std::string("attention over a ") + ggml_type_name(type) + " cache";
    check(compute(backend, context.get(), result, what), exact, what);
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

    for (auto* buffer_type : cpu_buffer_types(device)) {
        for (const auto type : TYPES) {
            if (!multiplies(device, buffer_type, type, COLUMNS, ROWS)) continue;
            for (const auto batch : BATCHES)
                multiply(backend.get(), buffer_type, type, batch);
        }
    }
    for (const auto type : CACHE_TYPES) {
        for (const auto batch : BATCHES)
            attend(backend.get(), type, batch);
    }
}

} // namespace specdiff

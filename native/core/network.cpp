#include "network.h"

#include "cpu_weights.h"
#include "error.h"
#include "log.h"
#include "utf8.h"

#include <ggml-backend.h>
#include <ggml.h>

#include <cstdlib>
#include <string_view>
#include <utility>

namespace specdiff {

namespace {

/** Our CPU kernels' attention takes cells in steps, a GPU's in greater ones. */
constexpr int CPU_CELL_STEP = 16;
constexpr int GPU_CELL_STEP = 256;
constexpr int GPU_ROW_STEP = 8;
/** Tensors that one type of buffer may hold. */
constexpr size_t MOST_TENSORS = 4096;

ggml_backend_dev_t gpu_device() {
    auto* const device = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_GPU);
    return device != nullptr ? device : ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_IGPU);
}

} // namespace

bool gpu_shapes() {
    const char* const wanted = std::getenv("SPECDIFF_SHAPES");
    return gpu_device() != nullptr || (wanted != nullptr && std::string_view(wanted) == "gpu");
}

void Network::ReleaseScheduler::operator()(ggml_backend_sched* scheduler) const {
    ggml_backend_sched_free(scheduler);
}

Network::Network(ThreadPool& threads, const std::atomic<bool>& cancelled)
    : threads_(threads), cancelled_(cancelled), backends_(start_backends(threads)), gpu_shapes_(gpu_shapes()),
      memory_(backends_.back().get()) {}

Network::~Network() = default;

/** A GPU's first, the CPU's last. */
std::vector<Backend> Network::start_backends(const ThreadPool& threads) const {
    std::vector<Backend> backends;
    if (auto* const gpu = gpu_device()) {
        const LogCapture captured;
        backends.emplace_back(ggml_backend_dev_init(gpu, nullptr));
        if (backends.back() == nullptr) {
            throw Error(std::string("The drafter can't be used: ") + ggml_backend_dev_name(gpu) +
                        " can't be started for it (" + captured.reason() + "); choose another backend.");
        }
    }
    backends.push_back(make_cpu_backend(threads, cancelled_));
    return backends;
}

int Network::cell_step() const {
    return gpu_shapes_ ? GPU_CELL_STEP : CPU_CELL_STEP;
}

int Network::row_step() const {
    return gpu_shapes_ ? GPU_ROW_STEP : 1;
}

ggml_backend_buffer_type* Network::plain_buffer() const {
    return ggml_backend_get_default_buffer_type(backends_.front().get());
}

/** Where a matrix lies best: on the CPU in a type that repacks it, where one takes it. */
ggml_backend_buffer_type* Network::matrix_buffer(int type, int64_t columns, int64_t rows) const {
    auto* const plain = plain_buffer();
    if (backends_.size() > 1) return plain;
    auto* const device = ggml_backend_get_device(backends_.front().get());
    for (auto* candidate : cpu_buffer_types(device)) {
        if (candidate != plain && candidate != ggml_backend_dev_buffer_type(device) &&
            multiplies(device, candidate, static_cast<ggml_type>(type), columns, rows))
            return candidate;
    }
    return plain;
}

ggml_context* Network::context_of(ggml_backend_buffer_type* type) {
    auto& context = contexts_[type];
    if (context == nullptr) {
        context = make_ggml_context(ggml_tensor_overhead() * MOST_TENSORS);
        if (context == nullptr) throw Error("No memory for the drafter: free some and try again.");
    }
    return context.get();
}

ggml_tensor* Network::weight(const GgufFile& file, const std::string& name, bool multiplied) {
    const auto* info = file.tensor(name);
    if (info == nullptr)
        throw Error("The drafter " + utf8(file.path().filename()) + " has no tensor " + name +
                    "; convert or download it again.");
    auto* const buffer = multiplied ? matrix_buffer(info->type, info->shape[0], info->shape[1]) : plain_buffer();
    auto* tensor =
        ggml_new_tensor_2d(context_of(buffer), static_cast<ggml_type>(info->type), info->shape[0], info->shape[1]);
    ggml_set_name(tensor, name.c_str());
    return tensor;
}

ggml_tensor* Network::matrix(const GgufFile& file, const std::string& name) {
    return weight(file, name, true);
}

ggml_tensor* Network::matrix(int type, int64_t columns, int64_t rows) {
    auto* const buffer = matrix_buffer(type, columns, rows);
    return ggml_new_tensor_2d(context_of(buffer), static_cast<ggml_type>(type), columns, rows);
}

ggml_tensor* Network::values(const GgufFile& file, const std::string& name) {
    return weight(file, name, false);
}

ggml_tensor* Network::memory(int type, int64_t columns, int64_t rows) {
    return ggml_new_tensor_2d(context_of(plain_buffer()), static_cast<ggml_type>(type), columns, rows);
}

void Network::load(const GgufFile& file, size_t nodes) {
    const LogCapture captured;
    for (const auto& [type, context] : contexts_) {
        buffers_.emplace_back(ggml_backend_alloc_ctx_tensors_from_buft(context.get(), type));
        if (buffers_.back() == nullptr)
            throw Error("The drafter can't be used: there is no memory for its weights; free some and try again.");
        ggml_backend_buffer_clear(buffers_.back().get(), 0);
        ggml_backend_buffer_set_usage(buffers_.back().get(), GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
    }
    nodes_ = nodes;
    if (!on_cpu()) {
        std::vector<ggml_backend_t> backends;
        backends.reserve(backends_.size());
        for (const auto& backend : backends_)
            backends.push_back(backend.get());
        scheduler_.reset(
            ggml_backend_sched_new(backends.data(), nullptr, static_cast<int>(backends.size()), nodes, false, false));
        if (scheduler_ == nullptr)
            throw Error("The drafter can't be used: there is no memory for it; free some and try again.");
    }
    for (const auto& [buffer, context] : contexts_) {
        for (auto* tensor = ggml_get_first_tensor(context.get()); tensor != nullptr;
             tensor = ggml_get_next_tensor(context.get(), tensor)) {
            const auto* info = file.tensor(ggml_get_name(tensor));
            if (info != nullptr) write_values(tensor, file.read_bytes(*info));
        }
    }
}

ggml_context* Network::begin() {
    next_ = {make_ggml_context(ggml_tensor_overhead() * nodes_ + ggml_graph_overhead_custom(nodes_, false))};
    if (next_.context == nullptr) throw Error("No memory for the drafter's pass: free some and try again.");
    next_.graph = ggml_new_graph_custom(next_.context.get(), nodes_, false);
    return next_.context.get();
}

ggml_tensor* Network::input(int type, int64_t columns, int64_t rows) {
    auto* tensor = ggml_new_tensor_2d(next_.context.get(), static_cast<ggml_type>(type), columns, rows);
    ggml_set_input(tensor);
    return tensor;
}

ggml_tensor* Network::product(ggml_tensor* weights, ggml_tensor* x) const {
    auto* const context = next_.context.get();
    const int64_t rows = x->ne[1];
    if (!gpu_shapes_ || weights->type != GGML_TYPE_F32 || rows >= EXACT_GPU_ROWS)
        return ggml_mul_mat(context, weights, x);
    auto* const filled = ggml_pad(context, x, 0, EXACT_GPU_ROWS - static_cast<int>(rows), 0, 0);
    auto* const all = ggml_mul_mat(context, weights, filled);
    return ggml_view_2d(context, all, all->ne[0], rows, all->nb[1], 0);
}

NetworkGraph Network::finish(const std::vector<ggml_tensor*>& outputs) {
    for (auto* output : outputs) {
        ggml_set_output(output);
        ggml_build_forward_expand(next_.graph, output);
    }
    const LogCapture captured;
    auto given = GraphMemory::Given::failed;
    if (scheduler_ == nullptr) {
        given = memory_.give(next_.graph);
    } else {
        ggml_backend_sched_reset(scheduler_.get());
        if (ggml_backend_sched_alloc_graph(scheduler_.get(), next_.graph)) given = GraphMemory::Given::others_lost;
    }
    if (given != GraphMemory::Given::kept) ++generation_;
    if (given == GraphMemory::Given::failed)
        throw Error("No memory for the drafter's pass (" + captured.reason() + "): free some and try again.");
    next_.generation = generation_;
    return std::exchange(next_, {});
}

void Network::compute(const NetworkGraph& graph) {
    if (!keeps(graph)) throw Error("The drafter's graph is gone: restart the engine.");
    if (cancelled_.load(std::memory_order_relaxed)) throw Cancelled();
    const LogCapture captured;
    auto* const cpu = backends_.back().get();
    const int status = scheduler_ != nullptr ? threads_.compute(scheduler_.get(), cpu, graph.graph)
                                             : threads_.compute(cpu, graph.graph);
    if (status == GGML_STATUS_ABORTED || cancelled_.load(std::memory_order_relaxed)) throw Cancelled();
    if (status != GGML_STATUS_SUCCESS) {
        throw Error("The drafter's pass failed with code " + std::to_string(status) + " (" + captured.reason() + ").");
    }
}

size_t Network::bytes() const {
    size_t total = 0;
    for (const auto& buffer : buffers_)
        total += ggml_backend_buffer_get_size(buffer.get());
    if (scheduler_ == nullptr) return total + memory_.bytes();
    for (const auto& backend : backends_)
        total += ggml_backend_sched_get_buffer_size(scheduler_.get(), backend.get());
    return total;
}

void write_values(ggml_tensor* tensor, const void* values, size_t bytes, size_t offset) {
    ggml_backend_tensor_set(tensor, values, offset, bytes);
}

void read_values(const ggml_tensor* tensor, std::vector<float>& values) {
    values.resize(static_cast<size_t>(ggml_nelements(tensor)));
    ggml_backend_tensor_get(tensor, values.data(), 0, values.size() * sizeof(float));
}

} // namespace specdiff

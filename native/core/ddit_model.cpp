#include "ddit_model.h"

#include "cpu_weights.h"
#include "error.h"
#include "log.h"

#include <ggml-backend.h>
#include <ggml.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace specdiff {

namespace {

/** Our CPU kernels' attention takes cells in steps, a GPU's in greater ones; those beyond the text are masked. */
constexpr int CPU_CELL_STEP = 16;
constexpr int GPU_CELL_STEP = 256;
constexpr size_t NODES_PER_LAYER = 64;
constexpr size_t OTHER_NODES = 64;

int rounded_up(int value, int step) {
    return (value + step - 1) / step * step;
}

ggml_backend_dev_t gpu_device() {
    auto* const device = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_GPU);
    return device != nullptr ? device : ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_IGPU);
}

template <typename Value> void set(ggml_tensor* tensor, const std::vector<Value>& values) {
    ggml_backend_tensor_set(tensor, values.data(), 0, values.size() * sizeof(Value));
}

} // namespace

void DditModel::ReleaseContext::operator()(ggml_context* context) const {
    ggml_free(context);
}
void DditModel::ReleaseBuffer::operator()(ggml_backend_buffer* buffer) const {
    ggml_backend_buffer_free(buffer);
}
void DditModel::ReleaseBackend::operator()(ggml_backend* backend) const {
    ggml_backend_free(backend);
}
void DditModel::ReleaseScheduler::operator()(ggml_backend_sched* scheduler) const {
    ggml_backend_sched_free(scheduler);
}

DditModel::DditModel(const GgufFile& file, const DditShape& shape, ThreadPool& threads,
                     const std::atomic<bool>& cancelled)
    : shape_(shape), conditioning_(file, shape), threads_(threads), cancelled_(cancelled) {
    open_backends(cancelled);
    cell_step_ = backends_.size() > 1 ? GPU_CELL_STEP : CPU_CELL_STEP;
    cells_ = rounded_up(shape.context, cell_step_);
    load(file);
}

DditModel::~DditModel() = default;

void DditModel::open_backends(const std::atomic<bool>& cancelled) {
    const LogCapture captured;
    auto* const cpu = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    if (cpu == nullptr) throw Error("No CPU backend is loaded: initialize the backends first.");
    for (auto* device : {gpu_device(), cpu}) {
        if (device == nullptr) continue;
        backends_.emplace_back(ggml_backend_dev_init(device, nullptr));
        if (backends_.back() == nullptr) {
            throw Error(std::string("The drafter can't be used: ") + ggml_backend_dev_name(device) +
                        " can't be started for it (" + captured.reason() + "); choose another backend.");
        }
    }
    auto* const backend = backends_.back().get();
    threads_.attach(backend);
    auto* const set_abort = reinterpret_cast<ggml_backend_set_abort_callback_t>(
        ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(cpu), "ggml_backend_set_abort_callback"));
    if (set_abort == nullptr) return;
    const auto aborted = [](void* flag) {
        return static_cast<const std::atomic<bool>*>(flag)->load(std::memory_order_relaxed);
    };
    set_abort(backend, aborted, const_cast<std::atomic<bool>*>(&cancelled));
}

/** Where a matrix lies best: on the CPU in a type that repacks it, where one takes it. */
ggml_backend_buffer_type* DditModel::matrix_buffer(const TensorInfo& tensor) const {
    auto* const plain = ggml_backend_get_default_buffer_type(backends_.front().get());
    if (backends_.size() > 1) return plain;
    auto* const device = ggml_backend_get_device(backends_.front().get());
    const auto type = static_cast<ggml_type>(tensor.type);
    for (auto* candidate : cpu_buffer_types(device)) {
        if (candidate != plain && candidate != ggml_backend_dev_buffer_type(device) &&
            multiplies(device, candidate, type, tensor.shape[0], tensor.shape[1]))
            return candidate;
    }
    return plain;
}

ggml_context* DditModel::context_of(ggml_backend_buffer_type* type) {
    auto& context = contexts_[type];
    if (context == nullptr) {
        ggml_init_params params{};
        params.mem_size = ggml_tensor_overhead() * (16 * static_cast<size_t>(shape_.layers) + 16);
        params.no_alloc = true;
        context.reset(ggml_init(params));
        if (context == nullptr) throw Error("No memory for the drafter: free some and try again.");
    }
    return context.get();
}

ggml_tensor* DditModel::weight(const GgufFile& file, const std::string& name, bool matrix) {
    const auto& info = *file.tensor(name);
    auto* const buffer = matrix ? matrix_buffer(info) : ggml_backend_get_default_buffer_type(backends_.front().get());
    auto* tensor =
        ggml_new_tensor_2d(context_of(buffer), static_cast<ggml_type>(info.type), info.shape[0], info.shape[1]);
    ggml_set_name(tensor, name.c_str());
    return tensor;
}

void DditModel::load(const GgufFile& file) {
    precise_ = file.tensor("output.weight")->type == GGML_TYPE_F32;
    auto* const plain = ggml_backend_get_default_buffer_type(backends_.front().get());
    embedding_ = weight(file, "token_embd.weight", false);
    head_ = weight(file, "output.weight", true);
    head_bias_ = weight(file, "output.bias", false);
    const auto cache_type = precise_ ? GGML_TYPE_F32 : GGML_TYPE_F16;
    for (int i = 0; i < shape_.layers; ++i) {
        const std::string prefix = "blk." + std::to_string(i) + ".";
        Layer layer;
        layer.qkv = weight(file, prefix + "attn_qkv.weight", true);
        layer.output = weight(file, prefix + "attn_output.weight", true);
        layer.up = weight(file, prefix + "ffn_up.weight", true);
        layer.up_bias = weight(file, prefix + "ffn_up.bias", false);
        layer.down = weight(file, prefix + "ffn_down.weight", true);
        layer.down_bias = weight(file, prefix + "ffn_down.bias", false);
        layer.keys = ggml_new_tensor_2d(context_of(plain), cache_type, shape_.width, cells_);
        layer.values = ggml_new_tensor_2d(context_of(plain), cache_type, shape_.width, cells_);
        layers_.push_back(layer);
    }
    modulation_ = ggml_new_tensor_2d(context_of(plain), GGML_TYPE_F32, shape_.width,
                                     shape_.layers * DditConditioning::PARTS + DditConditioning::OUTPUT_PARTS);
    allocate();
    for (const auto& [buffer, context] : contexts_) {
        for (auto* tensor = ggml_get_first_tensor(context.get()); tensor != nullptr;
             tensor = ggml_get_next_tensor(context.get(), tensor)) {
            const auto* info = file.tensor(ggml_get_name(tensor));
            if (info != nullptr) set(tensor, file.read_bytes(*info));
        }
    }
}

/** Gives every tensor its memory, zeroed, and makes the scheduler. */
void DditModel::allocate() {
    const LogCapture captured;
    for (const auto& [type, context] : contexts_) {
        buffers_.emplace_back(ggml_backend_alloc_ctx_tensors_from_buft(context.get(), type));
        if (buffers_.back() == nullptr)
            throw Error("The drafter can't be used: there is no memory for its weights; free some and try again.");
        ggml_backend_buffer_clear(buffers_.back().get(), 0);
        ggml_backend_buffer_set_usage(buffers_.back().get(), GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
    }
    std::vector<ggml_backend_t> backends;
    backends.reserve(backends_.size());
    for (const auto& backend : backends_)
        backends.push_back(backend.get());
    const size_t nodes = NODES_PER_LAYER * static_cast<size_t>(shape_.layers) + OTHER_NODES;
    scheduler_.reset(
        ggml_backend_sched_new(backends.data(), nullptr, static_cast<int>(backends.size()), nodes, false, false));
    if (scheduler_ == nullptr)
        throw Error("The drafter can't be used: there is no memory for it; free some and try again.");
}

size_t DditModel::bytes() const {
    size_t total = 0;
    for (const auto& buffer : buffers_)
        total += ggml_backend_buffer_get_size(buffer.get());
    for (const auto& backend : backends_)
        total += ggml_backend_sched_get_buffer_size(scheduler_.get(), backend.get());
    return total;
}

/** One of the vectors that σ gives. */
ggml_tensor* DditModel::part(ggml_context* graph, int layer, int index) const {
    const auto row = static_cast<size_t>(layer * DditConditioning::PARTS + index);
    return ggml_view_1d(graph, modulation_, shape_.width, row * modulation_->nb[1]);
}

/** Layer norm, its factor at `index` and its shift at the next. */
ggml_tensor* DditModel::modulated(ggml_context* graph, ggml_tensor* x, int layer, int index) const {
    auto* normalized = ggml_mul(graph, ggml_norm(graph, x, shape_.epsilon), part(graph, layer, index));
    return ggml_add(graph, normalized, part(graph, layer, index + 1));
}

/** The tanh form. ggml's own looks it up in a table of f16 on the CPU; x · sigmoid(2u) is the same, unrounded. */
ggml_tensor* DditModel::gelu(ggml_context* graph, ggml_tensor* x) const {
    if (!precise_) return ggml_gelu(graph, x);
    constexpr float CUBIC = 0.044715F;
    const auto slope = static_cast<float>(2 * std::sqrt(2 / 3.14159265358979323846));
    auto* inner = ggml_mul(graph, x, ggml_scale_bias(graph, ggml_sqr(graph, x), slope * CUBIC, slope));
    return ggml_mul(graph, x, ggml_sigmoid(graph, inner));
}

/** Writes keys and values of all rows to their cells; what rows [first, first + count) attend to, [width, count]. */
ggml_tensor* DditModel::attention(ggml_context* graph, ggml_tensor* x, int index, int first, int count) {
    const Layer& layer = layers_[static_cast<size_t>(index)];
    const int64_t head = shape_.head_width();
    const int64_t heads = shape_.heads;
    const int64_t width = shape_.width;
    auto* qkv = ggml_mul_mat(graph, layer.qkv, x);
    const auto rotated = [&](int which, int64_t from, int64_t rows) {
        auto* view =
            ggml_view_3d(graph, qkv, head, heads, rows, static_cast<size_t>(head) * sizeof(float), qkv->nb[1],
                         static_cast<size_t>(which * width) * sizeof(float) + static_cast<size_t>(from) * qkv->nb[1]);
        auto* positions = ggml_view_1d(graph, graph_.position_input, rows, static_cast<size_t>(from) * sizeof(int32_t));
        return ggml_rope_ext(graph, view, positions, nullptr, static_cast<int>(head), GGML_ROPE_TYPE_NEOX, 0,
                             shape_.rope_base, 1, 0, 1, 0, 0);
    };
    const auto store = [&](ggml_tensor* rows, ggml_tensor* cache) {
        auto* cells = ggml_view_2d(graph, cache, width, graph_.tokens, cache->nb[1],
                                   static_cast<size_t>(graph_.position) * cache->nb[1]);
        ggml_build_forward_expand(graph_.graph, ggml_cpy(graph, rows, cells));
    };
    store(ggml_reshape_2d(graph, rotated(1, 0, graph_.tokens), width, graph_.tokens), layer.keys);
    store(ggml_view_2d(graph, qkv, width, graph_.tokens, qkv->nb[1], static_cast<size_t>(2 * width) * sizeof(float)),
          layer.values);
    const int padded = rounded_up(graph_.cells, cell_step_);
    const auto seen = [&](ggml_tensor* cache) {
        auto* cells = ggml_view_3d(graph, cache, head, heads, padded,
                                   static_cast<size_t>(head) * ggml_type_size(cache->type), cache->nb[1], 0);
        return ggml_permute(graph, cells, 0, 2, 1, 3);
    };
    auto* mask = graph_.mask;
    if (mask != nullptr && count < graph_.tokens)
        mask = ggml_view_2d(graph, mask, padded, count, mask->nb[1], static_cast<size_t>(first) * mask->nb[1]);
    auto* result =
        ggml_flash_attn_ext(graph, ggml_permute(graph, rotated(0, first, count), 0, 2, 1, 3), seen(layer.keys),
                            seen(layer.values), mask, 1 / std::sqrt(static_cast<float>(head)), 0, 0);
    if (precise_) ggml_prec_set_acc(result, GGML_PREC_F32);
    return ggml_reshape_2d(graph, result, width, count);
}

/** The mask of cells from `cells` on, for every row. */
void DditModel::hide(int cells, int padded, int rows) {
    const auto columns = static_cast<std::ptrdiff_t>(padded);
    hidden_.assign(static_cast<size_t>(padded) * static_cast<size_t>(rows), ggml_fp32_to_fp16(0));
    const auto hidden = ggml_fp32_to_fp16(-std::numeric_limits<float>::infinity());
    for (auto row = hidden_.begin(); row != hidden_.end(); row += columns)
        std::fill(row + cells, row + columns, hidden);
}

void DditModel::build(const DditPass& pass) {
    const size_t nodes = NODES_PER_LAYER * static_cast<size_t>(shape_.layers) + OTHER_NODES;
    ggml_init_params params{};
    params.mem_size = ggml_tensor_overhead() * nodes + ggml_graph_overhead_custom(nodes, false);
    params.no_alloc = true;
    ggml_backend_sched_reset(scheduler_.get());
    graph_ = {};
    graph_context_.reset(ggml_init(params));
    if (graph_context_ == nullptr) throw Error("No memory for the drafter's pass: free some and try again.");
    auto* const graph = graph_context_.get();
    Graph next;
    next.tokens = static_cast<int>(pass.tokens.size());
    next.position = pass.position;
    next.cells = pass.cells;
    next.first = pass.first;
    next.outputs = pass.outputs;
    next.graph = ggml_new_graph_custom(graph, nodes, false);
    const auto input = [&](ggml_type type, int64_t columns, int64_t rows) {
        auto* tensor = ggml_new_tensor_2d(graph, type, columns, rows);
        ggml_set_input(tensor);
        return tensor;
    };
    next.token_input = input(GGML_TYPE_I32, next.tokens, 1);
    next.position_input = input(GGML_TYPE_I32, next.tokens, 1);
    const int padded = rounded_up(next.cells, cell_step_);
    if (padded != next.cells) {
        next.mask = input(GGML_TYPE_F16, padded, next.tokens);
        hide(next.cells, padded, next.tokens);
    }
    graph_ = next;

    auto* x = ggml_get_rows(graph, embedding_, graph_.token_input);
    for (int i = 0; i < shape_.layers; ++i) {
        const Layer& layer = layers_[static_cast<size_t>(i)];
        // After the last layer's keys and values only the rows that are asked for matter.
        const bool last = i + 1 == shape_.layers;
        const int first = last ? graph_.first : 0;
        const int count = last ? graph_.outputs : graph_.tokens;
        auto* attended = attention(graph, modulated(graph, x, i, DditConditioning::attention_factor), i, first, count);
        if (count < graph_.tokens)
            x = ggml_view_2d(graph, x, shape_.width, count, x->nb[1], static_cast<size_t>(first) * x->nb[1]);
        auto* branch = ggml_mul_mat(graph, layer.output, attended);
        x = ggml_add(graph, x, ggml_mul(graph, branch, part(graph, i, DditConditioning::attention_gate)));
        branch = ggml_mul_mat(graph, layer.up, modulated(graph, x, i, DditConditioning::mlp_factor));
        branch = ggml_mul_mat(graph, layer.down, gelu(graph, ggml_add(graph, branch, layer.up_bias)));
        branch = ggml_add(graph, branch, layer.down_bias);
        x = ggml_add(graph, x, ggml_mul(graph, branch, part(graph, i, DditConditioning::mlp_gate)));
    }
    graph_.logits = ggml_add(graph, ggml_mul_mat(graph, head_, modulated(graph, x, shape_.layers, 0)), head_bias_);
    ggml_set_output(graph_.logits);
    ggml_build_forward_expand(graph_.graph, graph_.logits);
    const LogCapture captured;
    if (!ggml_backend_sched_alloc_graph(scheduler_.get(), graph_.graph)) {
        graph_ = {};
        throw Error("No memory for the drafter's pass (" + captured.reason() + "): free some and try again.");
    }
}

bool DditModel::Graph::fits(const DditPass& pass) const {
    return graph != nullptr && tokens == static_cast<int>(pass.tokens.size()) && position == pass.position &&
           cells == pass.cells && first == pass.first && outputs == pass.outputs;
}

void DditModel::check(const DditPass& pass) const {
    const auto count = static_cast<int>(pass.tokens.size());
    const bool fine = count > 0 && pass.position >= 0 && pass.position + count <= pass.cells &&
                      pass.cells <= shape_.context && pass.first >= 0 && pass.outputs > 0 &&
                      pass.first + pass.outputs <= count;
    if (!fine)
        throw Error("The drafter's window of " + std::to_string(pass.cells) + " tokens can't be evaluated: it holds " +
                    std::to_string(shape_.context) + ".");
    for (const auto token : pass.tokens) {
        if (token < 0 || token >= shape_.vocabulary)
            throw Error("Token " + std::to_string(token) + " is outside the drafter's vocabulary.");
    }
}

const float* DditModel::evaluate(const DditPass& pass, double sigma) {
    check(pass);
    if (cancelled_.load(std::memory_order_relaxed)) throw Cancelled();
    if (!graph_.fits(pass)) build(pass);
    if (!shape_.time_conditioned) sigma = 0;
    if (sigma != sigma_) {
        set(modulation_, conditioning_.at(sigma));
        sigma_ = sigma;
    }
    std::vector<int32_t> positions(pass.tokens.size());
    for (size_t i = 0; i < positions.size(); ++i)
        positions[i] = pass.position + static_cast<int>(i);
    set(graph_.token_input, pass.tokens);
    set(graph_.position_input, positions);
    if (graph_.mask != nullptr) set(graph_.mask, hidden_);
    const LogCapture captured;
    const int status = threads_.compute(scheduler_.get(), backends_.back().get(), graph_.graph);
    if (status == GGML_STATUS_ABORTED || cancelled_.load(std::memory_order_relaxed)) throw Cancelled();
    if (status != GGML_STATUS_SUCCESS) {
        throw Error("The drafter's pass failed with code " + std::to_string(status) + " (" + captured.reason() + ").");
    }
    logits_.resize(static_cast<size_t>(graph_.outputs) * output_stride());
    ggml_backend_tensor_get(graph_.logits, logits_.data(), 0, logits_.size() * sizeof(float));
    return logits_.data();
}

} // namespace specdiff

#include "cpu_weights.h"

#include "error.h"
#include "ggml_handles.h"

#include <cmath>
#include <set>

namespace specdiff {

namespace {

/** Our kernels' buffer type (native/kernels/buffer_type.cpp). */
constexpr const char* OURS = "CPU_SPECDIFF";
/** Below, a share shows in no figure. */
constexpr double NOTICEABLE = 0.01;
/** As many rows as a prompt may have; the answer is the same for fewer. */
constexpr int64_t BATCH = 32;

bool is_matrix(const TensorInfo& tensor) {
    return tensor.shape.at(0) > 1 && tensor.shape.at(1) > 1;
}

} // namespace

std::vector<ggml_backend_buffer_type_t> cpu_buffer_types(ggml_backend_dev_t device) {
    std::vector<ggml_backend_buffer_type_t> types = {ggml_backend_dev_buffer_type(device)};
    auto* const extra = reinterpret_cast<ggml_backend_dev_get_extra_bufts_t>(
        ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(device), "ggml_backend_dev_get_extra_bufts"));
    if (extra == nullptr) return types;
    for (auto* next = extra(device); next != nullptr && *next != nullptr; ++next)
        types.push_back(*next);
    return types;
}

bool multiplies(ggml_backend_dev_t device, ggml_backend_buffer_type_t buffer_type, ggml_type type, int64_t columns,
                int64_t rows) {
    const auto context = make_ggml_context(4 * ggml_tensor_overhead());
    if (context == nullptr) throw Error("No memory to ask the CPU backend what it can do: free some and try again.");
    auto* weights = ggml_new_tensor_2d(context.get(), type, columns, rows);
    auto* product =
        ggml_mul_mat(context.get(), weights, ggml_new_tensor_2d(context.get(), GGML_TYPE_F32, columns, BATCH));
    const GgmlBuffer empty(ggml_backend_buft_alloc_buffer(buffer_type, 0));
    weights->buffer = empty.get();
    const bool result = ggml_backend_dev_supports_op(device, product);
    weights->buffer = nullptr;
    return result;
}

std::string weights_note(const GgufFile& file) {
    auto* const device = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    if (device == nullptr) return {};
    ggml_backend_buffer_type_t ours = nullptr;
    for (auto* type : cpu_buffer_types(device)) {
        if (std::string(ggml_backend_buft_name(type)) == OURS) ours = type;
    }
    if (ours == nullptr) return {};

    // A table of embeddings is looked up, unless it is the output's matrix too.
    const bool own_output = file.tensor("output.weight") != nullptr;
    double all = 0;
    double foreign = 0;
    std::set<std::string> types;
    for (const auto& tensor : file.tensors()) {
        if (!is_matrix(tensor) || (own_output && tensor.name == "token_embd.weight")) continue;
        const auto type = static_cast<ggml_type>(tensor.type);
        all += static_cast<double>(tensor.bytes);
        const bool plain = tensor.shape.at(2) == 1 && tensor.shape.at(3) == 1;
        if (plain && multiplies(device, ours, type, tensor.shape[0], tensor.shape[1])) continue;
        foreign += static_cast<double>(tensor.bytes);
        types.insert(ggml_type_name(type));
    }
    if (foreign <= NOTICEABLE * all) return {};
    std::string names;
    for (const auto& name : types)
        names += (names.empty() ? "" : ", ") + name;
    return "CPU kernels: " + std::to_string(std::lround(100 * foreign / all)) + " % of the target's weights (" + names +
           ") are left to llama.cpp's own code, which is slower";
}

} // namespace specdiff

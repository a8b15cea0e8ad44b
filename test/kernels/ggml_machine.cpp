#include "machine.h"

#include <ggml-alloc.h>
#include <ggml-backend.h>
#include <ggml-cpu.h>

namespace {

class GgmlMachine : public Machine {
  public:
    explicit GgmlMachine(const char* library) {
        if (ggml_backend_load(library) == nullptr) fail("the library could not be loaded");
        backend_ = ggml_backend_init_by_type(GGML_BACKEND_DEVICE_TYPE_CPU, nullptr);
        auto* extra = function<ggml_backend_buffer_type_t* (*)(ggml_backend_dev_t)>("ggml_backend_dev_get_extra_bufts");
        for (auto* type = extra(ggml_backend_get_device(backend_)); *type != nullptr; ++type) {
            if (std::string(ggml_backend_buft_name(*type)) == "CPU_SPECDIFF") repacked_ = *type;
        }
        if (repacked_ == nullptr) fail("the library has no kernels for this CPU");
    }
    ~GgmlMachine() override { ggml_backend_free(backend_); }

    void threads(int count) override {
        function<void (*)(ggml_backend_t, int)>("ggml_backend_set_n_threads")(backend_, count);
    }

    std::shared_ptr<void> hold(ggml_context* context, ggml_tensor* weights, const void* data) const override {
        std::shared_ptr<void> owner(ggml_backend_alloc_ctx_tensors_from_buft(context, repacked_), free_buffer);
        ggml_backend_tensor_set(weights, data, 0, ggml_nbytes(weights));
        return owner;
    }

    bool supports(const ggml_tensor* op) const override {
        return ggml_backend_dev_supports_op(ggml_backend_get_device(backend_), op);
    }

    Floats compute(ggml_context* context, ggml_tensor* result, const Inputs& inputs) const override {
        const std::shared_ptr<void> buffer(ggml_backend_alloc_ctx_tensors(context, backend_), free_buffer);
        for (const auto& [tensor, data] : inputs)
            ggml_backend_tensor_set(tensor, data, 0, ggml_nbytes(tensor));
        auto* graph = ggml_new_graph(context);
        ggml_build_forward_expand(graph, result);
        if (ggml_backend_graph_compute(backend_, graph) != GGML_STATUS_SUCCESS) fail("the graph failed");
        Floats out(static_cast<size_t>(ggml_nelements(result)));
        ggml_backend_tensor_get(result, out.data(), 0, out.size() * sizeof(float));
        return out;
    }

  private:
    static void free_buffer(void* buffer) { ggml_backend_buffer_free(static_cast<ggml_backend_buffer_t>(buffer)); }

    template <class F> F function(const char* name) const {
        auto* registry = ggml_backend_dev_backend_reg(ggml_backend_get_device(backend_));
        return reinterpret_cast<F>(ggml_backend_reg_get_proc_address(registry, name));
    }

    ggml_backend_t backend_ = nullptr;
    ggml_backend_buffer_type_t repacked_ = nullptr;
};

} // namespace

std::unique_ptr<Machine> open_machine(const char* name) {
    return std::make_unique<GgmlMachine>(name);
}

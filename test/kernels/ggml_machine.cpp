#include "cpu_library.h"

#include <ggml-alloc.h>
#include <ggml-backend.h>
#include <ggml-cpu.h>

namespace {

class GgmlMachine : public Machine {
  public:
    explicit GgmlMachine(const char* file) : library_(file) {}

    void threads(int count) override { library_.threads(count); }

    std::shared_ptr<void> hold(ggml_context* context, ggml_tensor* weights, const void* data) const override {
        std::shared_ptr<void> owner(ggml_backend_alloc_ctx_tensors_from_buft(context, library_.repacked), free_buffer);
        ggml_backend_tensor_set(weights, data, 0, ggml_nbytes(weights));
        return owner;
    }

    bool supports(const ggml_tensor* op) const override {
        return ggml_backend_dev_supports_op(ggml_backend_get_device(library_.backend), op);
    }

    Floats compute(ggml_context* context, ggml_tensor* result, const Inputs& inputs) const override {
        const std::shared_ptr<void> buffer(ggml_backend_alloc_ctx_tensors(context, library_.backend), free_buffer);
        for (const auto& [tensor, data] : inputs)
            ggml_backend_tensor_set(tensor, data, 0, ggml_nbytes(tensor));
        auto* graph = ggml_new_graph(context);
        ggml_build_forward_expand(graph, result);
        if (ggml_backend_graph_compute(library_.backend, graph) != GGML_STATUS_SUCCESS) fail("the graph failed");
        Floats out(static_cast<size_t>(ggml_nelements(result)));
        ggml_backend_tensor_get(result, out.data(), 0, out.size() * sizeof(float));
        return out;
    }

  private:
    static void free_buffer(void* buffer) { ggml_backend_buffer_free(static_cast<ggml_backend_buffer_t>(buffer)); }

    CpuLibrary library_;
};

} // namespace

std::unique_ptr<Machine> open_machine(const char* name) {
    return std::make_unique<GgmlMachine>(name);
}

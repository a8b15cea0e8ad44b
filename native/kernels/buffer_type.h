// Where llama.cpp's CPU backend meets these kernels: one more "extra buffer type", the first of its list.
#pragma once

#include <ggml-backend.h>

#include <vector>

struct ggml_tensor;

namespace specdiff::kernels {

struct MatrixKernels;

/** The kernels that compute `op`; null where it is no product of weights in our buffer type. */
const MatrixKernels* product_kernels(const ggml_tensor* op);

} // namespace specdiff::kernels

/**
 * Called by the hook in ggml-cpu.cpp. Weights of supported types and shapes are then repacked into this buffer type at
 * load, before llama.cpp's AMX and repack types see them, and every operation of a graph is offered to it first. Adds
 * nothing on a CPU without kernels.
 */
void specdiff_add_buffer_type(std::vector<ggml_backend_buffer_type_t>& types);

// From ggml's quantized rows to panels, once at load.
#pragma once

#include "panel.h"

#include <ggml.h>

#include <optional>

namespace specdiff::kernels {

/** The layout that holds a ggml type; none for types that llama.cpp's own code computes. */
std::optional<Layout> layout_of(ggml_type type);

/** Whether a tensor's rows can lie in panels. */
bool fits_panels(const ggml_tensor* weights);

/** Bytes of the panels of a [rows × columns] tensor; columns a multiple of the type's block. */
size_t panel_bytes(ggml_type type, int64_t rows, int64_t columns);

/** Repacks all of a tensor's rows, on as many threads as the machine has cores. */
void repack(ggml_type type, int64_t rows, int64_t columns, const void* from, void* to);

} // namespace specdiff::kernels

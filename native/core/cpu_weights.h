#pragma once

#include "gguf_file.h"

#include <ggml-backend.h>
#include <ggml.h>

#include <string>
#include <vector>

namespace specdiff {

/** Every buffer type that the CPU backend keeps weights in: its plain one first, then those that repack them. */
std::vector<ggml_backend_buffer_type_t> cpu_buffer_types(ggml_backend_dev_t device);

/** The backend's own answer, asked as llama.cpp does, whether it multiplies with such weights kept in `buffer_type`. */
bool multiplies(ggml_backend_dev_t device, ggml_backend_buffer_type_t buffer_type, ggml_type type, int64_t columns,
                int64_t rows);

/**
 * One sentence where our CPU kernels (native/kernels) are loaded but leave a noticeable share of the model's weights to
 * llama.cpp's own code, since their types or shapes are none of ours; else empty.
 */
std::string weights_note(const GgufFile& file);

} // namespace specdiff

#pragma once

#include "gguf_file.h"

#include <cstdint>
#include <fstream>
#include <vector>

struct ggml_tensor;

namespace specdiff {

/**
 * Rows of a model's token embedding as they are asked for: from the model's own memory where that shows them, otherwise
 * from its file, at 4 µs a row, and much more where the system has dropped that part. A second copy would cost memory.
 */
class EmbeddingRows {
  public:
    /**
     * `loaded`: the same table in memory, which outlives this; null for none: then the file stays open.
     * @throws Error where the file has no such table or can't be read.
     */
    EmbeddingRows(const GgufFile& file, const ggml_tensor* loaded);

    int width() const { return static_cast<int>(table_.shape[0]); }
    /** Row `token` as 32-bit floats: [width]. @throws Error for a token that the table lacks, or where reading fails.
     */
    void read(int32_t token, float* row);

  private:
    const char* stored(int32_t token);

    TensorInfo table_;
    const ggml_tensor* loaded_;
    std::ifstream file_;
    std::vector<char> bytes_;
};

} // namespace specdiff

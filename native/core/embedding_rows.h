#pragma once

#include "gguf_file.h"

#include <cstdint>
#include <fstream>
#include <vector>

namespace specdiff {

/** Rows of a model's token embedding, read from its file when they are asked for: a second copy would cost memory. */
class EmbeddingRows {
  public:
    /** The file stays open. @throws Error where it has no such table or can't be read. */
    explicit EmbeddingRows(const GgufFile& file);

    int width() const { return static_cast<int>(table_.shape[0]); }
    /** Row `token` as 32-bit floats: [width]. @throws Error for a token that the table lacks, or where reading fails.
     */
    void read(int32_t token, float* row);

  private:
    TensorInfo table_;
    std::ifstream file_;
    std::vector<char> bytes_;
};

} // namespace specdiff

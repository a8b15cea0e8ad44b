#include "embedding_rows.h"

#include "error.h"
#include "row_floats.h"

#include <ggml.h>

#include <string>

namespace specdiff {

EmbeddingRows::EmbeddingRows(const GgufFile& file) : file_(file.path(), std::ios::binary) {
    const auto* table = file.tensor("token_embd.weight");
    if (table == nullptr || !file_)
        throw Error("The token embedding of " + file.path().string() + " can't be read: download the file again.");
    table_ = *table;
    bytes_.resize(ggml_row_size(static_cast<ggml_type>(table_.type), table_.shape[0]));
}

void EmbeddingRows::read(int32_t token, float* row) {
    if (token < 0 || token >= table_.shape[1])
        throw Error("Token " + std::to_string(token) + " is outside the target's vocabulary.");
    file_.seekg(static_cast<std::streamoff>(table_.offset) +
                static_cast<std::streamoff>(token) * static_cast<std::streamoff>(bytes_.size()));
    if (!file_.read(bytes_.data(), static_cast<std::streamsize>(bytes_.size()))) {
        file_.clear();
        throw Error("The target's file can't be read any more: choose the model again.");
    }
    to_floats(table_.type, bytes_.data(), row, table_.shape[0]);
}

} // namespace specdiff

#include "embedding_rows.h"

#include "error.h"
#include "row_floats.h"
#include "utf8.h"

#include <ggml.h>

#include <string>

namespace specdiff {

EmbeddingRows::EmbeddingRows(const GgufFile& file, const ggml_tensor* loaded) : loaded_(loaded) {
    const auto unreadable = [&file] {
        return Error("The token embedding of " + utf8(file.path()) + " can't be read: download the file again.");
    };
    const auto* table = file.tensor("token_embd.weight");
    if (table == nullptr) throw unreadable();
    table_ = *table;
    bytes_.resize(ggml_row_size(static_cast<ggml_type>(table_.type), table_.shape[0]));
    const bool same = loaded_ != nullptr && loaded_->type == table_.type && loaded_->ne[0] == table_.shape[0] &&
                      loaded_->ne[1] == table_.shape[1] && loaded_->nb[1] == bytes_.size();
    if (same) return;
    loaded_ = nullptr;
    file_.open(file.path(), std::ios::binary);
    if (!file_) throw unreadable();
}

/** The row as the file has it. */
const char* EmbeddingRows::stored(int32_t token) {
    const size_t place = static_cast<size_t>(token) * bytes_.size();
    if (loaded_ != nullptr) return static_cast<const char*>(loaded_->data) + place;
    file_.seekg(static_cast<std::streamoff>(table_.offset) + static_cast<std::streamoff>(place));
    if (!file_.read(bytes_.data(), static_cast<std::streamsize>(bytes_.size()))) {
        file_.clear();
        throw Error("The target's file can't be read any more: choose the model again.");
    }
    return bytes_.data();
}

void EmbeddingRows::read(int32_t token, float* row) {
    if (token < 0 || token >= table_.shape[1])
        throw Error("Token " + std::to_string(token) + " is outside the target's vocabulary.");
    to_floats(table_.type, stored(token), row, table_.shape[0]);
}

} // namespace specdiff

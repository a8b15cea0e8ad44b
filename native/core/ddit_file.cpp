#include "ddit_file.h"

#include "error.h"
#include "utf8.h"

#include <ggml.h>

#include <array>
#include <cmath>
#include <cstddef>

namespace specdiff {

namespace {

constexpr std::array<ggml_type, 4> MATRIX_TYPES = {GGML_TYPE_F32, GGML_TYPE_F16, GGML_TYPE_Q8_0, GGML_TYPE_Q4_0};
/** Tables of tokens may be filled up to a multiple of this. */
constexpr int64_t ROW_STEP = 32;

[[noreturn]] void refuse(const GgufFile& file, const std::string& why) {
    throw Error("The drafter " + utf8(file.path().filename()) + " can't be used: " + why);
}

/** A whole number of the architecture's own keys. */
int whole(const GgufFile& file, const std::string& key, int64_t least, int64_t most) {
    const auto value = file.integer(key);
    if (!value) refuse(file, "it lacks " + key + "; convert it again.");
    if (*value < least || *value > most)
        refuse(file, key + " is " + std::to_string(*value) + ", which can't be; convert or download it again.");
    return static_cast<int>(*value);
}

float positive(const GgufFile& file, const std::string& key) {
    const auto value = file.number(key);
    if (!value || !std::isfinite(*value) || *value <= 0)
        refuse(file, key + " is missing or impossible; convert or download it again.");
    return static_cast<float>(*value);
}

std::string text_of(int64_t columns, int64_t rows) {
    return std::to_string(columns) + " × " + std::to_string(rows);
}

const TensorInfo& found(const GgufFile& file, const std::string& name) {
    const auto* tensor = file.tensor(name);
    if (tensor == nullptr) refuse(file, "tensor " + name + " is missing; convert or download it again.");
    return *tensor;
}

void check_size(const GgufFile& file, const TensorInfo& tensor, int64_t columns, int64_t rows) {
    if (tensor.shape[0] == columns && tensor.shape[1] == rows && tensor.shape[2] == 1 && tensor.shape[3] == 1) return;
    refuse(file, "tensor " + tensor.name + " has " + text_of(tensor.shape[0], tensor.shape[1]) +
                     " entries where its other sizes ask for " + text_of(columns, rows) + "; convert it again.");
}

void check_vector(const GgufFile& file, const std::string& name, int64_t size) {
    const auto& tensor = found(file, name);
    check_size(file, tensor, size, 1);
    if (tensor.type != GGML_TYPE_F32) refuse(file, "tensor " + name + " must be of type f32; convert it again.");
}

void check_type(const GgufFile& file, const TensorInfo& tensor) {
    for (const auto type : MATRIX_TYPES) {
        if (tensor.type == type) return;
    }
    refuse(file, "tensor " + tensor.name + " is of type " + ggml_type_name(static_cast<ggml_type>(tensor.type)) +
                     "; convert it to f32, f16, q8_0 or q4_0.");
}

void check_matrix(const GgufFile& file, const std::string& name, int64_t columns, int64_t rows) {
    const auto& tensor = found(file, name);
    check_size(file, tensor, columns, rows);
    check_type(file, tensor);
}

void check_linear(const GgufFile& file, const std::string& name, int64_t columns, int64_t rows) {
    check_matrix(file, name + ".weight", columns, rows);
    check_vector(file, name + ".bias", rows);
}

/** A table with a row for each token and perhaps some more; its rows. */
int check_table(const GgufFile& file, const std::string& name, int64_t width, int64_t vocabulary) {
    const auto& tensor = found(file, name);
    const int64_t rows = tensor.shape[1];
    const int64_t most = (vocabulary + ROW_STEP - 1) / ROW_STEP * ROW_STEP;
    check_size(file, tensor, width, rows >= vocabulary && rows <= most ? rows : vocabulary);
    check_type(file, tensor);
    return static_cast<int>(rows);
}

void check_layer(const GgufFile& file, const DditShape& shape, int layer) {
    const std::string prefix = "blk." + std::to_string(layer) + ".";
    const int64_t width = shape.width;
    check_vector(file, prefix + "attn_norm.weight", width);
    check_matrix(file, prefix + "attn_qkv.weight", width, 3 * width);
    check_matrix(file, prefix + "attn_output.weight", width, width);
    check_vector(file, prefix + "ffn_norm.weight", width);
    check_linear(file, prefix + "ffn_up", width, shape.feed_forward);
    check_linear(file, prefix + "ffn_down", shape.feed_forward, width);
    check_linear(file, prefix + "modulation", shape.condition, 6 * width);
}

} // namespace

bool is_ddit(const std::string& architecture) {
    return architecture == "sedd" || architecture == "mdlm";
}

DditShape check_ddit_file(const GgufFile& file) {
    DditShape shape;
    shape.architecture = file.text("general.architecture").value_or("");
    if (!is_ddit(shape.architecture))
        refuse(file, "its architecture is " + shape.architecture + ", neither sedd nor mdlm; choose another file.");
    const std::string prefix = shape.architecture + ".";
    shape.context = whole(file, prefix + "context_length", 8, 1 << 16);
    shape.width = whole(file, prefix + "embedding_length", 1, 1 << 16);
    shape.layers = whole(file, prefix + "block_count", 1, 256);
    shape.heads = whole(file, prefix + "attention.head_count", 1, 1024);
    shape.feed_forward = whole(file, prefix + "feed_forward_length", 1, 1 << 18);
    shape.condition = whole(file, prefix + "condition_length", 1, 1 << 14);
    shape.frequencies = whole(file, prefix + "frequency_length", 2, 1 << 14);
    shape.vocabulary = whole(file, prefix + "vocab_size", 2, 1 << 22);
    shape.mask = whole(file, prefix + "mask_token_id", 0, shape.vocabulary - 1);
    shape.rope_base = positive(file, prefix + "rope.freq_base");
    shape.epsilon = positive(file, prefix + "attention.layer_norm_epsilon");
    const auto conditioned = file.boolean(prefix + "time_conditioned");
    if (!conditioned) refuse(file, "it lacks " + prefix + "time_conditioned; convert it again.");
    shape.time_conditioned = *conditioned;
    if (file.has(prefix + "block_length")) shape.block = whole(file, prefix + "block_length", 1, 1 << 16);
    if (shape.width % shape.heads != 0 || shape.head_width() % 2 != 0 || shape.frequencies % 2 != 0)
        refuse(file, "its attention heads or frequencies have impossible sizes; convert it again.");

    shape.embedding_rows = check_table(file, "token_embd.weight", shape.width, shape.vocabulary);
    check_linear(file, "time.0", shape.frequencies, shape.condition);
    check_linear(file, "time.1", shape.condition, shape.condition);
    for (int layer = 0; layer < shape.layers; ++layer)
        check_layer(file, shape, layer);
    check_vector(file, "output_norm.weight", shape.width);
    check_linear(file, "output_modulation", shape.condition, static_cast<int64_t>(2) * shape.width);
    shape.output_rows = check_table(file, "output.weight", shape.width, shape.vocabulary);
    check_vector(file, "output.bias", shape.output_rows);
    return shape;
}

} // namespace specdiff

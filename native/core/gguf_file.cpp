#include "gguf_file.h"

#include "error.h"
#include "log.h"
#include "utf8.h"

#include <ggml.h>
#include <gguf.h>

#include <array>
#include <cstring>
#include <fstream>
#include <utility>

namespace specdiff {

namespace fs = std::filesystem;

namespace {

void check_readable(const fs::path& path) {
    std::error_code error;
    const auto status = fs::status(path, error);
    if (!fs::exists(status)) {
        throw Error("The model file " + utf8(path) + " does not exist: check the path or import the model again.");
    }
    if (!fs::is_regular_file(status)) {
        throw Error(utf8(path) + " is not a file: choose a GGUF model file.");
    }
    std::ifstream file(path, std::ios::binary);
    std::array<char, 4> magic{};
    if (!file) throw Error("The model file " + utf8(path) + " can't be opened: check its permissions.");
    if (!file.read(magic.data(), magic.size()) || std::memcmp(magic.data(), GGUF_MAGIC, magic.size()) != 0) {
        throw Error(utf8(path) + " is not a GGUF model file: choose a file that ends in .gguf, or download it again.");
    }
}

template <typename T> std::vector<int64_t> widen(const void* data, size_t count) {
    std::vector<int64_t> result(count);
    for (size_t i = 0; i < count; ++i) {
        T value;
        std::memcpy(&value, static_cast<const char*>(data) + i * sizeof(T), sizeof(T));
        result[i] = static_cast<int64_t>(value); // NOLINT(bugprone-signed-char-misuse): metadata may be negative
    }
    return result;
}

std::optional<std::vector<int64_t>> integers_of(gguf_type type, const void* data, size_t count) {
    switch (type) {
    case GGUF_TYPE_UINT8:
        return widen<uint8_t>(data, count);
    case GGUF_TYPE_INT8:
        return widen<int8_t>(data, count);
    case GGUF_TYPE_UINT16:
        return widen<uint16_t>(data, count);
    case GGUF_TYPE_INT16:
        return widen<int16_t>(data, count);
    case GGUF_TYPE_UINT32:
        return widen<uint32_t>(data, count);
    case GGUF_TYPE_INT32:
        return widen<int32_t>(data, count);
    case GGUF_TYPE_UINT64:
        return widen<uint64_t>(data, count);
    case GGUF_TYPE_INT64:
        return widen<int64_t>(data, count);
    default:
        return std::nullopt;
    }
}

} // namespace

bool only_for_activations(int type) {
    return type == GGML_TYPE_Q8_1 || type == GGML_TYPE_Q8_K;
}

GgufFile::GgufFile(fs::path path) : path_(std::move(path)) {
    check_readable(path_);
    bytes_ = fs::file_size(path_);
    const LogCapture captured;
    ggml_context* meta = nullptr;
    gguf_init_params params{};
    params.no_alloc = true;
    params.ctx = &meta;
    auto* raw = gguf_init_from_file(utf8(path_).c_str(), params);
    const std::shared_ptr<ggml_context> shapes(meta, [](ggml_context* c) {
        if (c != nullptr) ggml_free(c);
    });
    if (raw == nullptr) {
        throw Error("The model file " + utf8(path_) + " is damaged or incomplete (" + captured.reason() +
                    "): download it again.");
    }
    context_ = std::shared_ptr<gguf_context>(raw, gguf_free);

    const uint64_t start = gguf_get_data_offset(raw);
    for (int64_t i = 0; i < gguf_get_n_tensors(raw); ++i) {
        const char* name = gguf_get_tensor_name(raw, i);
        TensorInfo info;
        info.name = name;
        info.type = gguf_get_tensor_type(raw, i);
        info.offset = start + gguf_get_tensor_offset(raw, i);
        info.bytes = gguf_get_tensor_size(raw, i);
        const auto* shape = ggml_get_tensor(shapes.get(), name);
        if (shape != nullptr) info.shape.assign(shape->ne, shape->ne + GGML_MAX_DIMS);
        info.shape.resize(GGML_MAX_DIMS, 1);
        if (info.offset + info.bytes > bytes_ || info.offset + info.bytes < info.offset) {
            throw Error("The model file " + utf8(path_) + " ends early: it has " + std::to_string(bytes_) +
                        " bytes and tensor " + info.name + " reaches to " + std::to_string(info.offset + info.bytes) +
                        "; download it again.");
        }
        tensors_.push_back(std::move(info));
    }
}

bool GgufFile::has(const std::string& key) const {
    return gguf_find_key(context_.get(), key.c_str()) >= 0;
}

std::vector<std::string> GgufFile::keys() const {
    const auto count = gguf_get_n_kv(context_.get());
    std::vector<std::string> keys;
    keys.reserve(static_cast<size_t>(count));
    for (int64_t id = 0; id < count; ++id)
        keys.emplace_back(gguf_get_key(context_.get(), id));
    return keys;
}

std::optional<std::string> GgufFile::text(const std::string& key) const {
    const auto id = gguf_find_key(context_.get(), key.c_str());
    if (id < 0 || gguf_get_kv_type(context_.get(), id) != GGUF_TYPE_STRING) return std::nullopt;
    return gguf_get_val_str(context_.get(), id);
}

std::optional<int64_t> GgufFile::integer(const std::string& key) const {
    const auto id = gguf_find_key(context_.get(), key.c_str());
    if (id < 0) return std::nullopt;
    const auto type = gguf_get_kv_type(context_.get(), id);
    if (type == GGUF_TYPE_STRING || type == GGUF_TYPE_ARRAY) return std::nullopt;
    const auto values = integers_of(type, gguf_get_val_data(context_.get(), id), 1);
    return values ? std::optional(values->front()) : std::nullopt;
}

std::optional<double> GgufFile::number(const std::string& key) const {
    const auto id = gguf_find_key(context_.get(), key.c_str());
    if (id < 0) return std::nullopt;
    switch (gguf_get_kv_type(context_.get(), id)) {
    case GGUF_TYPE_FLOAT32:
        return gguf_get_val_f32(context_.get(), id);
    case GGUF_TYPE_FLOAT64:
        return gguf_get_val_f64(context_.get(), id);
    default:
        return std::nullopt;
    }
}

std::optional<bool> GgufFile::boolean(const std::string& key) const {
    const auto id = gguf_find_key(context_.get(), key.c_str());
    if (id < 0 || gguf_get_kv_type(context_.get(), id) != GGUF_TYPE_BOOL) return std::nullopt;
    return gguf_get_val_bool(context_.get(), id);
}

std::optional<std::vector<int64_t>> GgufFile::integers(const std::string& key) const {
    const auto id = gguf_find_key(context_.get(), key.c_str());
    if (id < 0 || gguf_get_kv_type(context_.get(), id) != GGUF_TYPE_ARRAY) return std::nullopt;
    const auto type = gguf_get_arr_type(context_.get(), id);
    if (type == GGUF_TYPE_STRING) return std::nullopt;
    return integers_of(type, gguf_get_arr_data(context_.get(), id), gguf_get_arr_n(context_.get(), id));
}

std::optional<std::vector<std::string>> GgufFile::texts(const std::string& key) const {
    const auto id = gguf_find_key(context_.get(), key.c_str());
    if (id < 0 || gguf_get_kv_type(context_.get(), id) != GGUF_TYPE_ARRAY) return std::nullopt;
    if (gguf_get_arr_type(context_.get(), id) != GGUF_TYPE_STRING) return std::nullopt;
    std::vector<std::string> result(gguf_get_arr_n(context_.get(), id));
    for (size_t i = 0; i < result.size(); ++i)
        result[i] = gguf_get_arr_str(context_.get(), id, i);
    return result;
}

const TensorInfo* GgufFile::tensor(const std::string& name) const {
    for (const auto& tensor : tensors_) {
        if (tensor.name == name) return &tensor;
    }
    return nullptr;
}

std::vector<int64_t> GgufFile::read_int64(const TensorInfo& tensor) const {
    if (tensor.type != GGML_TYPE_I64) {
        throw Error("Tensor " + tensor.name + " of " + utf8(path_) +
                    " should hold 64-bit integers: convert the model again.");
    }
    const auto bytes = read_bytes(tensor);
    std::vector<int64_t> values(bytes.size() / sizeof(int64_t));
    std::memcpy(values.data(), bytes.data(), values.size() * sizeof(int64_t));
    return values;
}

std::vector<uint8_t> GgufFile::read_bytes(const TensorInfo& tensor) const {
    std::vector<uint8_t> bytes(tensor.bytes);
    std::ifstream file(path_, std::ios::binary);
    file.seekg(static_cast<std::streamoff>(tensor.offset));
    if (!file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()))) {
        throw Error("Tensor " + tensor.name + " of " + utf8(path_) + " can't be read: download the file again.");
    }
    return bytes;
}

} // namespace specdiff

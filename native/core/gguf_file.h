#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

struct gguf_context;
struct ggml_context;

namespace specdiff {

struct TensorInfo {
    std::string name;
    /** ggml's element type. */
    int type = 0;
    /** Elements of each dimension, fastest first; always four. */
    std::vector<int64_t> shape;
    /** Position of the data in the file. */
    uint64_t offset = 0;
    uint64_t bytes = 0;
};

/** Quantized types that no product takes as weights: llama.cpp would call a function that it has not. */
bool only_for_activations(int type);

/** Metadata and tensor table of a GGUF file. Getters check types, since gguf's own abort the process on a wrong one. */
class GgufFile {
  public:
    /** @throws Error where the file is missing, is no GGUF file, is damaged or ends early. */
    explicit GgufFile(std::filesystem::path path);

    const std::filesystem::path& path() const { return path_; }
    uint64_t bytes() const { return bytes_; }

    /** Empty where the key is missing or of another type; the same for the other getters. */
    std::optional<std::string> text(const std::string& key) const;
    std::optional<int64_t> integer(const std::string& key) const;
    std::optional<double> number(const std::string& key) const;
    std::optional<bool> boolean(const std::string& key) const;
    std::optional<std::vector<int64_t>> integers(const std::string& key) const;
    std::optional<std::vector<std::string>> texts(const std::string& key) const;
    bool has(const std::string& key) const;
    std::vector<std::string> keys() const;

    const std::vector<TensorInfo>& tensors() const { return tensors_; }
    const TensorInfo* tensor(const std::string& name) const;
    /** Reads a tensor of 64-bit integers. @throws Error where the type is another or reading fails. */
    std::vector<int64_t> read_int64(const TensorInfo& tensor) const;
    /** Reads a tensor as it lies in the file. @throws Error where reading fails. */
    std::vector<uint8_t> read_bytes(const TensorInfo& tensor) const;

  private:
    std::filesystem::path path_;
    uint64_t bytes_ = 0;
    std::shared_ptr<gguf_context> context_;
    std::vector<TensorInfo> tensors_;
};

} // namespace specdiff

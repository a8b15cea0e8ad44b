#pragma once

#include "vocabulary.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

struct llama_model;
struct llama_context;

namespace specdiff {

class GgufFile;

/** The weights of one GGUF file, loaded by llama.cpp. */
class Model {
  public:
    /** @throws Error with llama.cpp's reason. Check the file first: llama.cpp aborts on some damage. */
    explicit Model(const GgufFile& file);

    llama_model* get() const { return model_.get(); }
    int width() const;
    int layers() const;
    int trained_context() const;
    /** Tokens that each layer sees where llama.cpp's graph lets all see all; 0 for all. Empty for most models. */
    const std::vector<int64_t>& windows() const { return windows_; }
    /** Reads from left to right by llama_decode alone: no encoder, no denoising. */
    bool causal() const;
    /** Rows can be taken back after a rejected draft; recurrent state can't. */
    bool can_roll_back() const;
    /** Several continuations can share a cache; with a sliding window llama.cpp would run out of cells. */
    bool can_branch() const;
    /** A metadata value as text; empty where it is missing. */
    std::string metadata(const char* key) const;

  private:
    std::shared_ptr<llama_model> model_;
    std::vector<int64_t> windows_;
};

} // namespace specdiff

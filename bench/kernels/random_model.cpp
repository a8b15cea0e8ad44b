// Writes a GGUF of Qwen2.5-1.5B's shape with random weights in the mix that llama-quantize calls Q4_K_M: for timing
// only.
//
//   random_model FILE
#include <ggml.h>
#include <gguf.h>

#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace {

constexpr int LAYERS = 28, WIDTH = 1536, HEADS = 12, CACHE_HEADS = 2, HEAD = 128, FEED_FORWARD = 8960,
              VOCABULARY = 151936;
/** Different rows of a matrix; the rest repeat them, since quantizing takes longer than all else. */
constexpr int64_t DIFFERENT_ROWS = 64;

class Writer {
  public:
    Writer()
        : file_(gguf_init_empty()), context_(ggml_init({(LAYERS * 16 + 8) * ggml_tensor_overhead(), nullptr, true})) {}
    ~Writer() {
        gguf_free(file_);
        ggml_free(context_);
    }
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;

    void text(const char* key, const char* value) { gguf_set_val_str(file_, key, value); }
    void number(const std::string& key, uint32_t value) { gguf_set_val_u32(file_, key.c_str(), value); }
    void real(const std::string& key, float value) { gguf_set_val_f32(file_, key.c_str(), value); }

    void matrix(const std::string& name, ggml_type type, int64_t columns, int64_t rows) {
        auto& data = data_[{type, {columns, rows}}];
        const size_t row_bytes = ggml_row_size(type, columns);
        if (data.empty()) {
            std::normal_distribution<float> normal(0.0f, 0.02f);
            std::vector<float> values(static_cast<size_t>(DIFFERENT_ROWS * columns));
            for (float& value : values)
                value = normal(rng_);
            data.resize(row_bytes * static_cast<size_t>(rows));
            ggml_quantize_chunk(type, values.data(), data.data(), 0, DIFFERENT_ROWS, columns, nullptr);
            for (int64_t row = DIFFERENT_ROWS; row < rows; ++row) {
                std::memcpy(&data[row_bytes * static_cast<size_t>(row)],
                            &data[row_bytes * static_cast<size_t>(row % DIFFERENT_ROWS)], row_bytes);
            }
        }
        add(name, ggml_new_tensor_2d(context_, type, columns, rows), data.data());
    }

    void vector(const std::string& name, int64_t size, float value) {
        auto& data = vectors_.emplace_back(static_cast<size_t>(size), value);
        add(name, ggml_new_tensor_1d(context_, GGML_TYPE_F32, size), data.data());
    }

    bool write(const char* path) const { return gguf_write_to_file(file_, path, false); }

  private:
    void add(const std::string& name, ggml_tensor* tensor, void* data) {
        ggml_set_name(tensor, name.c_str());
        tensor->data = data;
        gguf_add_tensor(file_, tensor);
    }

    gguf_context* file_;
    ggml_context* context_;
    std::mt19937 rng_{1};
    std::map<std::pair<ggml_type, std::pair<int64_t, int64_t>>, std::vector<char>> data_;
    std::vector<std::vector<float>> vectors_;
};

/** Layers whose values and down projection get more bits (llama-quant.cpp, use_more_bits). */
bool more_bits(int layer) {
    return layer < LAYERS / 8 || layer >= 7 * LAYERS / 8 || (layer - LAYERS / 8) % 3 == 2;
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fprintf(stderr, "random_model FILE\n");
        return 2;
    }
    Writer w;
    w.text("general.architecture", "qwen2");
    w.text("general.name", "random weights, Qwen2.5-1.5B shape, Q4_K_M mix");
    w.text("tokenizer.ggml.model", "no_vocab");
    w.number("qwen2.vocab_size", VOCABULARY);
    w.number("qwen2.context_length", 32768);
    w.number("qwen2.embedding_length", WIDTH);
    w.number("qwen2.block_count", LAYERS);
    w.number("qwen2.feed_forward_length", FEED_FORWARD);
    w.number("qwen2.attention.head_count", HEADS);
    w.number("qwen2.attention.head_count_kv", CACHE_HEADS);
    w.real("qwen2.attention.layer_norm_rms_epsilon", 1e-6f);
    w.real("qwen2.rope.freq_base", 1e6f);
    w.matrix("token_embd.weight", GGML_TYPE_Q6_K, WIDTH, VOCABULARY);
    w.vector("output_norm.weight", WIDTH, 1.0f);
    for (int layer = 0; layer < LAYERS; ++layer) {
        const std::string block = "blk." + std::to_string(layer) + ".";
        const ggml_type wide = more_bits(layer) ? GGML_TYPE_Q6_K : GGML_TYPE_Q4_K;
        w.vector(block + "attn_norm.weight", WIDTH, 1.0f);
        w.vector(block + "ffn_norm.weight", WIDTH, 1.0f);
        w.matrix(block + "attn_q.weight", GGML_TYPE_Q4_K, WIDTH, HEADS * HEAD);
        w.matrix(block + "attn_k.weight", GGML_TYPE_Q4_K, WIDTH, CACHE_HEADS * HEAD);
        w.matrix(block + "attn_v.weight", wide, WIDTH, CACHE_HEADS * HEAD);
        w.vector(block + "attn_q.bias", HEADS * HEAD, 0.01f);
        w.vector(block + "attn_k.bias", CACHE_HEADS * HEAD, 0.01f);
        w.vector(block + "attn_v.bias", CACHE_HEADS * HEAD, 0.01f);
        w.matrix(block + "attn_output.weight", GGML_TYPE_Q4_K, HEADS * HEAD, WIDTH);
        w.matrix(block + "ffn_gate.weight", GGML_TYPE_Q4_K, WIDTH, FEED_FORWARD);
        w.matrix(block + "ffn_up.weight", GGML_TYPE_Q4_K, WIDTH, FEED_FORWARD);
        w.matrix(block + "ffn_down.weight", wide, FEED_FORWARD, WIDTH);
    }
    return w.write(argv[1]) ? 0 : 1;
}

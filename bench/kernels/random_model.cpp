// Writes a GGUF with random weights, for timing only: of a Qwen2.5 model's shape in the mix that llama-quantize calls
// Q4_K_M, of SEDD-small's, or of GPT-2 XL's in fp16.
//
//   random_model FILE [0.5b | 1.5b | 3b | sedd-small | sedd-small-q4_0 | gpt2-xl]      1.5b where nothing is said
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

struct Shape {
    int layers, width, heads, head, feed_forward;
};
const std::map<std::string, Shape> SHAPES = {
    {"0.5b", {24, 896, 14, 64, 4864}}, {"1.5b", {28, 1536, 12, 128, 8960}}, {"3b", {36, 2048, 16, 128, 11008}}};
constexpr int CACHE_HEADS = 2, VOCABULARY = 151936;
const std::map<std::string, ggml_type> SEDD_TYPES = {{"sedd-small", GGML_TYPE_Q8_0},
                                                     {"sedd-small-q4_0", GGML_TYPE_Q4_0}};
constexpr const char* GPT2_XL = "gpt2-xl";
/** Different rows of a matrix; the rest repeat them, since quantizing takes longer than all else. */
constexpr int64_t DIFFERENT_ROWS = 64;

/** What llama-quantize takes where rows are no multiple of 256 weights. */
ggml_type fitting(ggml_type type, int64_t columns) {
    if (columns % ggml_blck_size(type) == 0) return type;
    return type == GGML_TYPE_Q6_K ? GGML_TYPE_Q8_0 : GGML_TYPE_Q5_0;
}

class Writer {
  public:
    explicit Writer(int layers)
        : file_(gguf_init_empty()),
          context_(ggml_init({static_cast<size_t>(layers * 16 + 8) * ggml_tensor_overhead(), nullptr, true})) {}
    ~Writer() {
        gguf_free(file_);
        ggml_free(context_);
    }
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;

    void text(const char* key, const char* value) { gguf_set_val_str(file_, key, value); }
    void number(const std::string& key, uint32_t value) { gguf_set_val_u32(file_, key.c_str(), value); }
    void real(const std::string& key, float value) { gguf_set_val_f32(file_, key.c_str(), value); }

    void flag(const char* key, bool value) { gguf_set_val_bool(file_, key, value); }

    void matrix(const std::string& name, ggml_type wanted, int64_t columns, int64_t rows) {
        const ggml_type type = fitting(wanted, columns);
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
bool more_bits(int layer, int layers) {
    return layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
}

bool write_qwen(const char* path, const std::string& size) {
    const auto [layers, width, heads, head, feed_forward] = SHAPES.at(size);
    Writer w(layers);
    w.text("general.architecture", "qwen2");
    w.text("general.name", ("random weights, Qwen2.5-" + size + " shape, Q4_K_M mix").c_str());
    w.text("tokenizer.ggml.model", "no_vocab");
    w.number("qwen2.vocab_size", VOCABULARY);
    w.number("qwen2.context_length", 32768);
    w.number("qwen2.embedding_length", width);
    w.number("qwen2.block_count", layers);
    w.number("qwen2.feed_forward_length", feed_forward);
    w.number("qwen2.attention.head_count", heads);
    w.number("qwen2.attention.head_count_kv", CACHE_HEADS);
    w.real("qwen2.attention.layer_norm_rms_epsilon", 1e-6f);
    w.real("qwen2.rope.freq_base", 1e6f);
    w.matrix("token_embd.weight", GGML_TYPE_Q6_K, width, VOCABULARY);
    w.vector("output_norm.weight", width, 1.0f);
    for (int layer = 0; layer < layers; ++layer) {
        const std::string block = "blk." + std::to_string(layer) + ".";
        const ggml_type wide = more_bits(layer, layers) ? GGML_TYPE_Q6_K : GGML_TYPE_Q4_K;
        w.vector(block + "attn_norm.weight", width, 1.0f);
        w.vector(block + "ffn_norm.weight", width, 1.0f);
        w.matrix(block + "attn_q.weight", GGML_TYPE_Q4_K, width, heads * head);
        w.matrix(block + "attn_k.weight", GGML_TYPE_Q4_K, width, CACHE_HEADS * head);
        w.matrix(block + "attn_v.weight", wide, width, CACHE_HEADS * head);
        w.vector(block + "attn_q.bias", heads * head, 0.01f);
        w.vector(block + "attn_k.bias", CACHE_HEADS * head, 0.01f);
        w.vector(block + "attn_v.bias", CACHE_HEADS * head, 0.01f);
        w.matrix(block + "attn_output.weight", GGML_TYPE_Q4_K, heads * head, width);
        w.matrix(block + "ffn_gate.weight", GGML_TYPE_Q4_K, width, feed_forward);
        w.matrix(block + "ffn_up.weight", GGML_TYPE_Q4_K, width, feed_forward);
        w.matrix(block + "ffn_down.weight", wide, feed_forward, width);
    }
    return w.write(path);
}

/** The shape of louaaron/sedd-small (Lou et al., arXiv 2310.16834), as training/'s converter writes it. */
bool write_sedd_small(const char* path, ggml_type type) {
    constexpr int LAYERS = 12, WIDTH = 768, HEADS = 12, WIDE = 4 * WIDTH, CONDITION = 128, FREQUENCIES = 256,
                  TOKENS = 50258;
    Writer w(LAYERS);
    const auto linear = [&](const std::string& name, int64_t columns, int64_t rows) {
        w.matrix(name + ".weight", type, columns, rows);
        w.vector(name + ".bias", rows, 0.01f);
    };
    w.text("general.architecture", "sedd");
    w.text("general.name", "random weights, SEDD-small shape");
    w.number("sedd.context_length", 1024);
    w.number("sedd.embedding_length", WIDTH);
    w.number("sedd.block_count", LAYERS);
    w.number("sedd.attention.head_count", HEADS);
    w.number("sedd.feed_forward_length", WIDE);
    w.real("sedd.attention.layer_norm_epsilon", 1e-5f);
    w.real("sedd.rope.freq_base", 1e4f);
    w.number("sedd.vocab_size", TOKENS);
    w.number("sedd.condition_length", CONDITION);
    w.number("sedd.frequency_length", FREQUENCIES);
    w.number("sedd.mask_token_id", TOKENS - 1);
    w.flag("sedd.time_conditioned", true);
    w.matrix("token_embd.weight", type, WIDTH, TOKENS);
    linear("time.0", FREQUENCIES, CONDITION);
    linear("time.1", CONDITION, CONDITION);
    for (int layer = 0; layer < LAYERS; ++layer) {
        const std::string block = "blk." + std::to_string(layer) + ".";
        w.vector(block + "attn_norm.weight", WIDTH, 1.0f);
        w.matrix(block + "attn_qkv.weight", type, WIDTH, 3 * WIDTH);
        w.matrix(block + "attn_output.weight", type, WIDTH, WIDTH);
        w.vector(block + "ffn_norm.weight", WIDTH, 1.0f);
        linear(block + "ffn_up", WIDTH, WIDE);
        linear(block + "ffn_down", WIDE, WIDTH);
        linear(block + "modulation", CONDITION, 6 * WIDTH);
    }
    w.vector("output_norm.weight", WIDTH, 1.0f);
    linear("output_modulation", CONDITION, 2 * WIDTH);
    linear("output", WIDTH, TOKENS);
    return w.write(path);
}

/** The shape of GPT-2 XL, as training/'s converter writes it. */
bool write_gpt2_xl(const char* path) {
    constexpr int LAYERS = 48, WIDTH = 1600, HEADS = 25, CONTEXT = 1024, TOKENS = 50257;
    Writer w(LAYERS);
    const auto linear = [&](const std::string& name, int64_t columns, int64_t rows) {
        w.matrix(name + ".weight", GGML_TYPE_F16, columns, rows);
        w.vector(name + ".bias", rows, 0.01f);
    };
    const auto norm = [&](const std::string& name) {
        w.vector(name + ".weight", WIDTH, 1.0f);
        w.vector(name + ".bias", WIDTH, 0.01f);
    };
    w.text("general.architecture", "gpt2");
    w.text("general.name", "random weights, GPT-2 XL shape");
    w.text("tokenizer.ggml.model", "no_vocab");
    w.number("gpt2.vocab_size", TOKENS);
    w.number("gpt2.context_length", CONTEXT);
    w.number("gpt2.embedding_length", WIDTH);
    w.number("gpt2.block_count", LAYERS);
    w.number("gpt2.feed_forward_length", 4 * WIDTH);
    w.number("gpt2.attention.head_count", HEADS);
    w.real("gpt2.attention.layer_norm_epsilon", 1e-5f);
    w.matrix("token_embd.weight", GGML_TYPE_F16, WIDTH, TOKENS);
    w.matrix("position_embd.weight", GGML_TYPE_F16, WIDTH, CONTEXT);
    for (int layer = 0; layer < LAYERS; ++layer) {
        const std::string block = "blk." + std::to_string(layer) + ".";
        norm(block + "attn_norm");
        linear(block + "attn_qkv", WIDTH, 3 * WIDTH);
        linear(block + "attn_output", WIDTH, WIDTH);
        norm(block + "ffn_norm");
        linear(block + "ffn_up", WIDTH, 4 * WIDTH);
        linear(block + "ffn_down", 4 * WIDTH, WIDTH);
    }
    norm("output_norm");
    return w.write(path);
}

} // namespace

int main(int argc, char** argv) {
    const std::string shape = argc == 3 ? argv[2] : "1.5b";
    const auto sedd = SEDD_TYPES.find(shape);
    if (argc < 2 || argc > 3 || (shape != GPT2_XL && sedd == SEDD_TYPES.end() && SHAPES.count(shape) == 0)) {
        std::fprintf(stderr, "random_model FILE [0.5b | 1.5b | 3b | sedd-small | sedd-small-q4_0 | gpt2-xl]\n");
        return 2;
    }
    bool written = false;
    if (shape == GPT2_XL)
        written = write_gpt2_xl(argv[1]);
    else if (sedd != SEDD_TYPES.end())
        written = write_sedd_small(argv[1], sedd->second);
    else
        written = write_qwen(argv[1], shape);
    return written ? 0 : 1;
}

// Perplexity of a model on a text, with one CPU library.
//
//   perplexity LIBRARY MODEL THREADS TEXT TOKENS
//
// The first TOKENS tokens of the file TEXT, in pieces of 500 without a common context; prints one line of JSON, with
// −log p of every token that was judged, so that two libraries can be compared token by token.
#include <ggml-backend.h>
#include <llama.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <numeric>
#include <string>
#include <vector>

namespace {

constexpr int PIECE = 500;

[[noreturn]] void fail(const char* reason) {
    std::fprintf(stderr, "%s\n", reason);
    std::exit(2);
}

std::vector<llama_token> tokens_of(const llama_vocab* vocabulary, const char* path, size_t count) {
    std::ifstream file(path);
    const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    std::vector<llama_token> tokens(text.size() + 1);
    const int found = llama_tokenize(vocabulary, text.data(), static_cast<int>(text.size()), tokens.data(),
                                     static_cast<int>(tokens.size()), false, false);
    if (found < static_cast<int>(count)) fail("the text is too short");
    tokens.resize(count);
    return tokens;
}

/** −log p of `token` by a row of logits. */
double surprise(const float* logits, int size, llama_token token) {
    const double top = *std::max_element(logits, logits + size);
    double sum = 0;
    for (int i = 0; i < size; ++i)
        sum += std::exp(logits[i] - top);
    return std::log(sum) - (logits[token] - top);
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 6) fail("perplexity LIBRARY MODEL THREADS TEXT TOKENS");
    llama_log_set(
        [](ggml_log_level level, const char* text, void*) {
            if (level == GGML_LOG_LEVEL_ERROR) std::fputs(text, stderr);
        },
        nullptr);
    if (ggml_backend_load(argv[1]) == nullptr) fail("the library could not be loaded");
    llama_backend_init();
    auto model_parameters = llama_model_default_params();
    model_parameters.n_gpu_layers = 0;
    auto* model = llama_model_load_from_file(argv[2], model_parameters);
    if (model == nullptr) fail("the model could not be loaded");
    auto parameters = llama_context_default_params();
    parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = 512;
    parameters.n_threads = parameters.n_threads_batch = std::atoi(argv[3]);
    auto* context = llama_init_from_model(model, parameters);
    if (context == nullptr) fail("no context");
    const auto* vocabulary = llama_model_get_vocab(model);
    const int size = llama_vocab_n_tokens(vocabulary);
    const auto tokens = tokens_of(vocabulary, argv[4], std::strtoul(argv[5], nullptr, 10));

    std::vector<double> surprises;
    for (size_t begin = 0; begin < tokens.size(); begin += PIECE) {
        const int count = static_cast<int>(std::min<size_t>(PIECE, tokens.size() - begin));
        llama_memory_clear(llama_get_memory(context), true);
        auto batch = llama_batch_init(count, 0, 1);
        batch.n_tokens = count;
        for (int i = 0; i < count; ++i) {
            batch.token[i] = tokens[begin + i];
            batch.pos[i] = i;
            batch.n_seq_id[i] = 1;
            batch.seq_id[i][0] = 0;
            batch.logits[i] = 1;
        }
        if (llama_decode(context, batch) != 0) fail("llama_decode failed");
        for (int i = 0; i + 1 < count; ++i)
            surprises.push_back(surprise(llama_get_logits_ith(context, i), size, tokens[begin + i + 1]));
        llama_batch_free(batch);
    }
    const double total = std::accumulate(surprises.begin(), surprises.end(), 0.0);
    std::printf("{\"tokens\": %zu, \"perplexity\": %.6f, \"surprises\": [", tokens.size(),
                std::exp(total / static_cast<double>(surprises.size())));
    for (size_t i = 0; i < surprises.size(); ++i)
        std::printf("%s%.6f", i == 0 ? "" : ", ", surprises[i]);
    std::printf("]}\n");
    llama_free(context);
    llama_model_free(model);
    return 0;
}

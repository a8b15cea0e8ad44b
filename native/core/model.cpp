#include "model.h"

#include "error.h"
#include "gguf_file.h"
#include "log.h"
#include "model_file.h"
#include "utf8.h"

#include <llama.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace specdiff {

namespace {

llama_model_kv_override in_graph_of(const char* architecture) {
    llama_model_kv_override result{};
    result.tag = LLAMA_KV_OVERRIDE_TYPE_STR;
    std::strncpy(result.key, "general.architecture", sizeof(result.key) - 1);
    std::strncpy(result.val_str, architecture, sizeof(result.val_str) - 1);
    return result;
}

} // namespace

Model::Model(const GgufFile& file) {
    const LogCapture captured;
    auto params = llama_model_default_params();
    const std::array<llama_model_kv_override, 2> overrides = {in_graph_of(GPT_NEO_GRAPH), llama_model_kv_override{}};
    const std::string path = utf8(file.path());
    if (file.text("general.architecture") == GPT_NEO) {
        params.kv_overrides = overrides.data();
        windows_ = file.integers("gptneo.attention.windows").value_or(std::vector<int64_t>());
        if (windows_.size() != static_cast<size_t>(file.integer("gpt2.block_count").value_or(0)) ||
            std::any_of(windows_.begin(), windows_.end(), [](int64_t window) { return window < 0; }))
            throw Error("The model file " + path +
                        " does not say how far each layer sees: it is damaged; convert it again.");
    }
    auto* loaded = llama_model_load_from_file(path.c_str(), params);
    if (loaded == nullptr) {
        throw Error("The model file " + path + " can't be loaded (" + captured.reason() +
                    "): choose a model that llama.cpp supports, or download it again.");
    }
    model_ = std::shared_ptr<llama_model>(loaded, llama_model_free);
}

int Model::width() const {
    return llama_model_n_embd(model_.get());
}

int Model::layers() const {
    return llama_model_n_layer(model_.get());
}

int Model::trained_context() const {
    return llama_model_n_ctx_train(model_.get());
}

bool Model::causal() const {
    return llama_model_has_decoder(model_.get()) && !llama_model_has_encoder(model_.get()) &&
           !llama_model_is_diffusion(model_.get());
}

bool Model::can_roll_back() const {
    return !llama_model_is_recurrent(model_.get()) && !llama_model_is_hybrid(model_.get());
}

bool Model::can_branch() const {
    return can_roll_back() && llama_model_n_swa(model_.get()) == 0;
}

std::string Model::metadata(const char* key) const {
    std::array<char, 512> value{};
    const auto length = llama_model_meta_val_str(model_.get(), key, value.data(), value.size());
    return length < 0 ? std::string() : std::string(value.data());
}

} // namespace specdiff

#include "model.h"

#include "error.h"
#include "log.h"

#include <llama.h>

#include <array>

namespace specdiff {

Model::Model(const std::filesystem::path& path) {
    const LogCapture captured;
    auto params = llama_model_default_params();
    auto* loaded = llama_model_load_from_file(path.string().c_str(), params);
    if (loaded == nullptr) {
        throw Error("The model file " + path.string() + " can't be loaded (" + captured.reason() +
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

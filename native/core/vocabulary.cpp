#include "vocabulary.h"

#include "error.h"

#include <llama.h>

#include <climits>
#include <stdexcept>

namespace specdiff {

Vocabulary::Vocabulary(const llama_model* model)
    : model_(model), vocab_(llama_model_get_vocab(model)), size_(llama_vocab_n_tokens(vocab_)) {}

void Vocabulary::check(const std::vector<int32_t>& tokens, const char* holder) const {
    for (const auto token : tokens) {
        if (contains(token)) continue;
        throw Error(std::string("The ") + holder + " token " + std::to_string(token) +
                    ", which is outside the target's vocabulary: tokenize it with the same model.");
    }
}

std::vector<int32_t> Vocabulary::tokenize(const std::string& text, bool add_bos, bool parse_special) const {
    try {
        return tokens_of(text, add_bos, parse_special);
    } catch (const std::out_of_range&) {
        // llama.cpp looks for a token of each byte that no other token holds.
        throw Error("The model's vocabulary lacks a character of this text and tokens for single bytes: choose another "
                    "model file.");
    }
}

std::vector<int32_t> Vocabulary::tokens_of(const std::string& text, bool add_bos, bool parse_special) const {
    if (text.size() > INT_MAX / 2) throw Error("The text is too long to tokenize: use a smaller part of it.");
    const auto length = static_cast<int32_t>(text.size());
    std::vector<int32_t> tokens(text.size() + 2);
    auto count = llama_tokenize(vocab_, text.data(), length, tokens.data(), static_cast<int32_t>(tokens.size()),
                                add_bos, parse_special);
    if (count < 0) {
        if (count == INT32_MIN) throw Error("The text is too long to tokenize: use a smaller part of it.");
        tokens.resize(static_cast<size_t>(-count));
        count = llama_tokenize(vocab_, text.data(), length, tokens.data(), static_cast<int32_t>(tokens.size()), add_bos,
                               parse_special);
    }
    tokens.resize(static_cast<size_t>(count));
    // Some models want an end token after every text; a prompt must not have one.
    if (add_bos && llama_vocab_get_add_eos(vocab_) && !tokens.empty() && tokens.back() == llama_vocab_eos(vocab_)) {
        tokens.pop_back();
    }
    return tokens;
}

std::string Vocabulary::piece(int32_t token) const {
    std::string bytes(32, '\0');
    auto count = llama_token_to_piece(vocab_, token, bytes.data(), static_cast<int32_t>(bytes.size()), 0, false);
    if (count < 0) {
        bytes.resize(static_cast<size_t>(-count));
        count = llama_token_to_piece(vocab_, token, bytes.data(), static_cast<int32_t>(bytes.size()), 0, false);
    }
    bytes.resize(static_cast<size_t>(count));
    return bytes;
}

bool Vocabulary::ends_generation(int32_t token) const {
    return llama_vocab_is_eog(vocab_, token);
}

std::optional<FimTokens> Vocabulary::fill_in_the_middle() const {
    const FimTokens tokens{llama_vocab_fim_pre(vocab_), llama_vocab_fim_suf(vocab_), llama_vocab_fim_mid(vocab_)};
    const auto sound = [this](int32_t token) {
        if (!contains(token) || ends_generation(token)) return false;
        try {
            return tokenize(llama_vocab_get_text(vocab_, token), false, true) == std::vector<int32_t>{token};
        } catch (const Error&) {
            return false;
        }
    };
    if (!sound(tokens.prefix) || !sound(tokens.suffix) || !sound(tokens.middle)) return std::nullopt;
    if (tokens.prefix == tokens.suffix || tokens.prefix == tokens.middle || tokens.suffix == tokens.middle) {
        return std::nullopt;
    }
    return tokens;
}

bool Vocabulary::has_chat_template() const {
    return llama_model_chat_template(model_, nullptr) != nullptr;
}

std::string Vocabulary::apply_chat_template(const std::vector<ChatMessage>& messages) const {
    const char* source = llama_model_chat_template(model_, nullptr);
    if (source == nullptr) {
        throw Error("The model has no chat template: choose an instruction-tuned model for summaries.");
    }
    std::vector<llama_chat_message> chat;
    size_t length = 256;
    for (const auto& message : messages) {
        chat.push_back({message.role.c_str(), message.content.c_str()});
        length += 2 * (message.role.size() + message.content.size());
    }
    std::string text(length, '\0');
    for (int attempt = 0; attempt < 2; ++attempt) {
        const auto needed = llama_chat_apply_template(source, chat.data(), chat.size(), true, text.data(),
                                                      static_cast<int32_t>(text.size()));
        if (needed < 0) break;
        const bool fits = static_cast<size_t>(needed) <= text.size();
        text.resize(static_cast<size_t>(needed));
        if (fits) return text;
    }
    throw Error(
        "The model's chat template is of a kind that llama.cpp does not know: choose another model for summaries.");
}

} // namespace specdiff

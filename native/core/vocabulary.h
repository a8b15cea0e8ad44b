#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

struct llama_model;
struct llama_vocab;

namespace specdiff {

/** Token ids of the fill-in-the-middle sentinels. */
struct FimTokens {
    int32_t prefix;
    int32_t suffix;
    int32_t middle;
};

struct ChatMessage {
    std::string role;
    std::string content;
};

/** Text ⇄ tokens of one model. Safe to use from any thread while the model lives. */
class Vocabulary {
  public:
    explicit Vocabulary(const llama_model* model);

    int size() const { return size_; }
    /** `add_bos` adds the start token where the model wants one; special tokens in `text` are plain text unless
     * `parse_special`. @throws Error where the text is too long or the vocabulary lacks a character of it. */
    std::vector<int32_t> tokenize(const std::string& text, bool add_bos, bool parse_special) const;
    /** UTF-8 bytes of one token; may end inside a character; empty for control tokens. */
    std::string piece(int32_t token) const;
    bool ends_generation(int32_t token) const;
    bool contains(int32_t token) const { return token >= 0 && token < size_; }
    /** @throws Error where a token is of no use here; `holder` says whose they are: "prompt holds". */
    void check(const std::vector<int32_t>& tokens, const char* holder) const;
    /** The metadata's sentinels, where all three are there, differ, end no text, and each one's text is that one token:
     * a wrong entry would put some other token into every prompt. */
    std::optional<FimTokens> fill_in_the_middle() const;
    bool has_chat_template() const;
    /** The model's own chat template, up to the assistant's turn. @throws Error where there is none or it is unknown.
     */
    std::string apply_chat_template(const std::vector<ChatMessage>& messages) const;

  private:
    std::vector<int32_t> tokens_of(const std::string& text, bool add_bos, bool parse_special) const;

    const llama_model* model_;
    const llama_vocab* vocab_;
    int size_;
};

} // namespace specdiff

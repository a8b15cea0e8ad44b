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
     * `parse_special`. */
    std::vector<int32_t> tokenize(const std::string& text, bool add_bos, bool parse_special) const;
    /** UTF-8 bytes of one token; may end inside a character; empty for control tokens. */
    std::string piece(int32_t token) const;
    bool ends_generation(int32_t token) const;
    bool contains(int32_t token) const { return token >= 0 && token < size_; }
    std::optional<FimTokens> fill_in_the_middle() const;
    bool has_chat_template() const;
    /** The model's own chat template, up to the assistant's turn. @throws Error where there is none or it is unknown.
     */
    std::string apply_chat_template(const std::vector<ChatMessage>& messages) const;

  private:
    const llama_model* model_;
    const llama_vocab* vocab_;
    int size_;
};

} // namespace specdiff

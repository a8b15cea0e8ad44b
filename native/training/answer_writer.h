#pragma once

#include "batch_context.h"

#include "../core/rng.h"
#include "../core/sampler.h"
#include "../core/vocabulary.h"

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace specdiff::training {

struct AnswerRequest {
    std::string id;
    std::vector<int32_t> prompt;
    int max_tokens = 0;
    double temperature = 0;
    uint64_t seed = 0;
};

/** Why an answer ended by itself; one that was stopped from outside ends without a word. */
enum class AnswerEnd { end_of_text, max_tokens };

struct AnswerEvents {
    std::function<void(const std::string& id, int32_t token)> on_token;
    std::function<void(const std::string& id, AnswerEnd end)> on_end;
};

/**
 * Many answers at once: a place that becomes free takes the next request, and what its prompt shares with any other
 * place's tokens is copied from there instead of evaluated.
 */
class AnswerWriter {
  public:
    AnswerWriter(BatchContext& context, const Vocabulary& vocabulary, int places, AnswerEvents events);

    /** @throws Error where the prompt is empty, too long or holds foreign tokens. */
    void add(AnswerRequest request);
    /** Ends an answer, or takes its request back. */
    void stop(const std::string& id);
    bool idle() const;
    /** Requests that no place has taken yet. */
    int waiting() const { return static_cast<int>(queue_.size()); }
    /** Fills the free places, then gives every answer one token more. */
    void pass();

  private:
    struct Place {
        /** Tokens whose rows are in the cache. */
        std::vector<int32_t> cached;
        /** Prompt and answer; the last one's row is not in the cache yet. */
        std::vector<int32_t> tokens;
        std::optional<AnswerRequest> request;
        std::optional<Sampler> sampler;
        std::optional<Rng> rng;
    };

    void start(int index, AnswerRequest request);
    int reuse(int index, const std::vector<int32_t>& prompt);
    void choose(Place& place, const float* logits);

    BatchContext& context_;
    const Vocabulary& vocabulary_;
    AnswerEvents events_;
    std::vector<Place> places_;
    std::deque<AnswerRequest> queue_;
    std::vector<float> p_;
};

} // namespace specdiff::training

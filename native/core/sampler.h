#pragma once

#include "rng.h"

#include <cstdint>
#include <vector>

namespace specdiff {

struct SamplingOptions {
    /** 0 is greedy. */
    double temperature = 0;
    /** 0 switches the filter off. */
    int top_k = 0;
    /** 1 switches the filter off. */
    double top_p = 1;
    /** 0 switches the filter off. */
    double min_p = 0;
    /** 1 switches the penalty off. */
    double repetition_penalty = 1;
    uint64_t seed = 0;
};

/** Tokens that the repetition penalty looks back at, as in llama.cpp. */
constexpr int PENALTY_WINDOW = 64;

/**
 * The one definition of p: the target's distribution after all settings, from a row of logits and the tokens before it.
 * Order as in llama.cpp: repetition penalty, top-k, top-p, min-p, temperature.
 */
class Sampler {
  public:
    /** @throws Error where a setting is out of its bounds. */
    Sampler(const SamplingOptions& options, int vocabulary_size);

    bool greedy() const { return options_.temperature <= 0; }
    double temperature() const { return options_.temperature; }

    /** Greedy choice, the lowest id among equals. `logits` [V]; `history`: every token before the row's next one,
     * oldest first. */
    int32_t best(const float* logits, const std::vector<int32_t>& history);
    /** p [V], sums to 1. */
    void probabilities(const float* logits, const std::vector<int32_t>& history, std::vector<float>& p);

  private:
    /** The logits, or a copy of them with the penalty applied. */
    const float* penalized(const float* logits, const std::vector<int32_t>& history);
    void keep_top_k(const float* logits);
    void keep_top_p(const float* logits);
    void keep_min_p(const float* logits);

    SamplingOptions options_;
    int size_;
    std::vector<float> changed_;
    std::vector<int32_t> kept_; // token ids that the filters left
    std::vector<uint8_t> seen_;
};

/** softmax(logits ÷ temperature) [V]; entries of -infinity get 0. */
void softmax(const float* logits, int size, double temperature, std::vector<float>& p);

/**
 * A drafter whose logits are no numbers would have any rule take its tokens, whatever the target says.
 * @throws Error where the row is no distribution.
 */
void require_distribution(const std::vector<float>& q);

/** Draws a token from `weights` (non-negative, need not sum to 1) by inversion in id order: one uniform number. */
int32_t draw(const std::vector<float>& weights, Rng& rng);
/** The same with a uniform number from [0, 1): the first token up to which the weights sum to more than that share. */
int32_t drawn(const std::vector<float>& weights, double uniform);

} // namespace specdiff

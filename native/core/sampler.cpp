#include "sampler.h"

#include "error.h"
#include "exponentials.h"
#include "greatest.h"
#include "sums.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace specdiff {

namespace {

constexpr float REMOVED = -std::numeric_limits<float>::infinity();

void require(bool fine, const char* message) {
    if (!fine) throw Error(message);
}

/** By the logit, then by the lower number. */
bool likelier(const float* logits, int32_t a, int32_t b) {
    const float la = logits[a];
    const float lb = logits[b];
    return la != lb ? la > lb : a < b;
}

} // namespace

Sampler::Sampler(const SamplingOptions& options, int vocabulary_size) : options_(options), size_(vocabulary_size) {
    require(std::isfinite(options.temperature) && options.temperature >= 0, "temperature must be 0 or greater.");
    require(options.top_k >= 0, "topK must be 0 (off) or greater.");
    require(options.top_p > 0 && options.top_p <= 1, "topP must be above 0 and at most 1 (off).");
    require(options.min_p >= 0 && options.min_p <= 1, "minP must be from 0 (off) to 1.");
    require(std::isfinite(options.repetition_penalty) && options.repetition_penalty > 0,
            "repetitionPenalty must be above 0 (1 is off).");
}

/** Keskar et al. 2019 (arXiv 1909.05858, section 4.1), with division or multiplication by the logit's sign as in
 * llama.cpp. */
const float* Sampler::penalized(const float* logits, const std::vector<int32_t>& history) {
    const auto penalty = static_cast<float>(options_.repetition_penalty);
    if (penalty == 1.0F) return logits;
    changed_.assign(logits, logits + size_);
    seen_.resize(changed_.size(), 0);
    const size_t start = history.size() > PENALTY_WINDOW ? history.size() - PENALTY_WINDOW : 0;
    for (size_t i = start; i < history.size(); ++i) {
        const auto token = static_cast<size_t>(history[i]);
        if (seen_[token] != 0) continue;
        seen_[token] = 1;
        float& logit = changed_[token];
        logit = logit > 0 ? logit / penalty : logit * penalty;
    }
    for (size_t i = start; i < history.size(); ++i)
        seen_[static_cast<size_t>(history[i])] = 0;
    return changed_.data();
}

void Sampler::keep_top_k(const float* logits) {
    const auto count = static_cast<size_t>(options_.top_k);
    if (count == 0 || count >= kept_.size()) return;
    std::nth_element(kept_.begin(), kept_.begin() + static_cast<std::ptrdiff_t>(count) - 1, kept_.end(),
                     [logits](int32_t a, int32_t b) { return likelier(logits, a, b); });
    kept_.resize(count);
}

/** Holtzman et al. 2020 (arXiv 1904.09751): the fewest tokens whose probabilities sum to at least top_p. */
void Sampler::keep_top_p(const float* logits) {
    if (options_.top_p >= 1) return;
    const auto logit = [logits](int32_t token) { return logits[token]; };
    const double greatest =
        logit(*std::max_element(kept_.begin(), kept_.end(), [&](int32_t a, int32_t b) { return logit(a) < logit(b); }));
    double total = 0;
    for (const auto token : kept_)
        total += std::exp(logit(token) - greatest);
    // Tokens so unlikely that all of them together are not needed: few are left to sort.
    const double least = greatest + std::log((1 - options_.top_p) * total / static_cast<double>(kept_.size()));
    kept_.erase(std::remove_if(kept_.begin(), kept_.end(), [&](int32_t token) { return logit(token) < least; }),
                kept_.end());
    std::sort(kept_.begin(), kept_.end(), [logits](int32_t a, int32_t b) { return likelier(logits, a, b); });
    double sum = 0;
    size_t count = 0;
    while (count < kept_.size() && sum < options_.top_p * total) {
        sum += std::exp(logit(kept_[count]) - greatest);
        ++count;
    }
    kept_.resize(std::max<size_t>(count, 1));
}

/** Tokens with at least min_p of the best token's probability (arXiv 2407.01082). */
void Sampler::keep_min_p(const float* logits) {
    if (options_.min_p <= 0) return;
    float greatest = REMOVED;
    for (const auto token : kept_)
        greatest = std::max(greatest, logits[token]);
    const float least = greatest + static_cast<float>(std::log(options_.min_p));
    kept_.erase(std::remove_if(kept_.begin(), kept_.end(), [&](int32_t token) { return logits[token] < least; }),
                kept_.end());
}

int32_t Sampler::best(const float* logits, const std::vector<int32_t>& history) {
    return argmax(penalized(logits, history), size_);
}

void Sampler::probabilities(const float* logits, const std::vector<int32_t>& history, std::vector<float>& p) {
    const float* const used = penalized(logits, history);
    if (options_.top_k == 0 && options_.top_p >= 1 && options_.min_p <= 0) {
        softmax(used, size_, options_.temperature, p);
        return;
    }
    kept_.resize(static_cast<size_t>(size_));
    std::iota(kept_.begin(), kept_.end(), 0);
    keep_top_k(used);
    keep_top_p(used);
    keep_min_p(used);
    std::vector<float> masked(static_cast<size_t>(size_), REMOVED);
    for (const auto token : kept_)
        masked[static_cast<size_t>(token)] = used[token];
    softmax(masked.data(), size_, options_.temperature, p);
}

void softmax(const float* logits, int size, double temperature, std::vector<float>& p) {
    p.resize(static_cast<size_t>(size));
    const float greatest = logits[argmax(logits, size)];
    const double total = exponentials(logits, size, greatest, static_cast<float>(1 / temperature), p.data());
    const auto factor = static_cast<float>(1 / total);
    for (auto& value : p)
        value *= factor;
}

void require_distribution(const std::vector<float>& q) {
    constexpr double NEARLY = 0.01;
    const double total = sum_of(q.data(), static_cast<int>(q.size()));
    require(std::abs(total - 1) < NEARLY,
            "The drafter's numbers are none: choose another drafter, or another backend.");
}

int32_t draw(const std::vector<float>& weights, Rng& rng) {
    return drawn(weights, rng.uniform());
}

int32_t drawn(const std::vector<float>& weights, double uniform) {
    // Sums of blocks first; then only the block that the threshold falls into is looked through.
    constexpr int BLOCK = 512;
    const auto size = static_cast<int>(weights.size());
    const auto end_of = [size](int start) { return std::min(start + BLOCK, size); };
    std::vector<double> blocks;
    for (int start = 0; start < size; start += BLOCK)
        blocks.push_back(sum_of(weights.data() + start, end_of(start) - start));
    const double threshold = uniform * std::accumulate(blocks.begin(), blocks.end(), 0.0);
    // Where rounding leaves the threshold at the very end, of all or of its block, the last token that weighs anything.
    int chosen = 0;
    double before = 0;
    double sum = 0;
    for (size_t block = 0; block < blocks.size() && sum <= threshold; ++block) {
        if (blocks[block] <= 0) continue;
        chosen = static_cast<int>(block) * BLOCK;
        before = sum;
        sum += blocks[block];
    }
    int32_t last = 0;
    for (int i = chosen; i < end_of(chosen) && before <= threshold; ++i) {
        const float weight = weights[static_cast<size_t>(i)];
        if (weight <= 0) continue;
        last = i;
        before += weight;
    }
    return last;
}

} // namespace specdiff

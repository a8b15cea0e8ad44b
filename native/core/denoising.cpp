#include "denoising.h"

#include "error.h"
#include "sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

namespace specdiff {

namespace {

constexpr double NOISE_EPSILON = 1e-3;
constexpr double LAST_TIME = 1e-5;

} // namespace

DenoisingSampler denoising_sampler(const std::string& name) {
    static const std::map<std::string, DenoisingSampler> samplers = {{"confidence", DenoisingSampler::confidence},
                                                                     {"euler", DenoisingSampler::euler},
                                                                     {"tweedie", DenoisingSampler::tweedie},
                                                                     {"denoiser", DenoisingSampler::denoiser}};
    const auto found = samplers.find(name);
    if (found == samplers.end())
        throw Error("The denoising sampler must be confidence, euler, tweedie or denoiser, not " + name + ".");
    return found->second;
}

double total_noise(double t) {
    return -std::log1p(-(1 - NOISE_EPSILON) * t);
}

double noise_rate(double t) {
    return (1 - NOISE_EPSILON) / (1 - (1 - NOISE_EPSILON) * t);
}

std::vector<double> denoising_times(int steps) {
    std::vector<double> times;
    for (int i = 0; i <= steps; ++i)
        times.push_back(1 + (LAST_TIME - 1) * i / steps);
    return times;
}

double reveal_chance(DenoisingSampler sampler, double t, double s) {
    const double kept = std::exp(-total_noise(t));
    const double chance = sampler == DenoisingSampler::euler ? (t - s) * noise_rate(t) * kept / (1 - kept)
                                                             : (std::exp(-total_noise(s)) - kept) / (1 - kept);
    return std::clamp(chance, 0.0, 1.0);
}

SlotView view_of(const SlotLogits& logits, int slot) {
    const float* row = logits.row(slot);
    SlotView view;
    float best = -std::numeric_limits<float>::infinity();
    float second = best;
    for (int32_t token = 0; token < logits.usable; ++token) {
        if (token == logits.mask) continue;
        if (!std::isfinite(row[token]))
            throw Error("The drafter's network gives numbers that are not finite; convert or download its file again.");
        if (row[token] > best) {
            second = best;
            best = row[token];
            view.best = token;
        } else {
            second = std::max(second, row[token]);
        }
    }
    double total = 0;
    for (int32_t token = 0; token < logits.usable; ++token) {
        if (token != logits.mask) total += std::exp(row[token] - best);
    }
    view.margin = std::isfinite(second) ? best - second : 0;
    view.confidence = 1 / total;
    return view;
}

void slot_distribution(const SlotLogits& logits, int slot, double temperature, int size, std::vector<float>& q) {
    const float* row = logits.row(slot);
    q.assign(row, row + logits.usable);
    if (logits.mask < logits.usable) q[static_cast<size_t>(logits.mask)] = -std::numeric_limits<float>::infinity();
    const std::vector<float> masked(q);
    softmax(masked.data(), logits.usable, temperature, q);
    q.resize(static_cast<size_t>(size), 0.0F);
}

Denoising::Denoising(const DenoisingOptions& options, int slots)
    : options_(options), times_(denoising_times(std::max(options.steps, 1))), slots_(static_cast<size_t>(slots)) {
    options_.steps = std::max(options.steps, 1);
}

int Denoising::masked() const {
    return static_cast<int>(
        std::count_if(slots_.begin(), slots_.end(), [](const DenoisingSlot& slot) { return slot.masked(); }));
}

void Denoising::reveal(int slot, int32_t token, const SlotView& view) {
    slots_[static_cast<size_t>(slot)] = {0, token, view, {}};
}

void Denoising::skip(int steps) {
    step_ = std::clamp(1 + steps, 1, options_.steps);
}

int Denoising::revealed_after(int steps) const {
    const auto count = static_cast<double>(slots_.size());
    return static_cast<int>(slots_.size()) -
           static_cast<int>(std::floor(count * times_[static_cast<size_t>(std::min(steps, options_.steps))]));
}

void Denoising::look(const SlotLogits& logits) {
    for (size_t i = 0; i < slots_.size(); ++i) {
        if (slots_[i].masked()) slots_[i].view = view_of(logits, static_cast<int>(i));
    }
}

void Denoising::reveal_by(const SlotLogits& logits, size_t index, Rng& rng) {
    auto& slot = slots_[index];
    slot.step = step_;
    slot.token = slot.view.best;
    if (!options_.drawn_early || options_.temperature <= 0) return;
    slot_distribution(logits, static_cast<int>(index), options_.temperature, options_.vocabulary, slot.q);
    slot.token = draw(slot.q, rng);
}

void Denoising::reveal_surest(const SlotLogits& logits, Rng& rng) {
    std::vector<size_t> masked;
    for (size_t i = 0; i < slots_.size(); ++i) {
        if (slots_[i].masked()) masked.push_back(i);
    }
    const auto left = static_cast<size_t>(static_cast<int>(slots_.size()) - revealed_after(step_));
    if (masked.size() <= left) return;
    std::stable_sort(masked.begin(), masked.end(),
                     [this](size_t a, size_t b) { return slots_[a].view.confidence > slots_[b].view.confidence; });
    masked.resize(masked.size() - left);
    std::sort(masked.begin(), masked.end());
    for (const auto slot : masked)
        reveal_by(logits, slot, rng);
}

void Denoising::mask_again(double chance, Rng& rng) {
    for (auto& slot : slots_) {
        if (rng.uniform() >= chance) continue;
        slot.step = DenoisingSlot::MASKED;
        slot.q.clear();
    }
}

void Denoising::advance(const SlotLogits& logits, Rng& rng) {
    const double t = times_[static_cast<size_t>(step_) - 1];
    const double s = times_[static_cast<size_t>(step_)];
    if (options_.sampler == DenoisingSampler::confidence) {
        reveal_surest(logits, rng);
    } else {
        const bool all = options_.sampler == DenoisingSampler::denoiser;
        const double chance = all ? 1 : reveal_chance(options_.sampler, t, s);
        for (size_t i = 0; i < slots_.size(); ++i) {
            if (slots_[i].masked() && (all || rng.uniform() < chance)) reveal_by(logits, i, rng);
        }
        if (all) mask_again(1 - std::exp(-total_noise(s)), rng);
    }
    ++step_;
}

} // namespace specdiff

#pragma once

#include "rng.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace specdiff {

/** How the slots' distributions become revealed tokens over several steps. */
enum class DenoisingSampler {
    /** The surest slots first, as many a step as the schedule's times say (MaskGIT, arXiv 2202.04200, section 3.2). */
    confidence,
    /** Each masked slot by itself, with Δt · rate(t) · α ÷ (1 − α), α = e^−σ(t) (SEDD, arXiv 2310.16834, section 4:
     * τ-leaping of the reverse rates). */
    euler,
    /** Each masked slot by itself, with (α(s) − α(t)) ÷ (1 − α(t)): the posterior given the denoised text (SEDD,
     * section 4, Tweedie τ-leaping; MDLM, arXiv 2406.07524, section 3.2). */
    tweedie,
    /** Every masked slot is filled, then every slot masked again with chance 1 − α(s): revealed ones too, so that an
     * early mistake can be taken back (D3PM, arXiv 2107.03006, section 3.3, with the denoised text put in). */
    denoiser,
};

/** "confidence", "euler", "tweedie" or "denoiser". @throws Error for another name. */
DenoisingSampler denoising_sampler(const std::string& name);
/** Most steps of one draft. */
constexpr int MOST_DENOISING_STEPS = 64;

/** Total noise σ(t) = −ln(1 − (1 − ε)t), ε = 1e-3 (SEDD, appendix C: loglinear), and its derivative. t in [0, 1]. */
double total_noise(double t);
double noise_rate(double t);
/** The steps' times: 1, …, 1e-5; `steps` + 1 of them, evenly. */
std::vector<double> denoising_times(int steps);
/** Chance that a masked slot is revealed between times t and s < t, for `euler` and `tweedie`. */
double reveal_chance(DenoisingSampler sampler, double t, double s);

/** Rows of logits, one for each slot. */
struct SlotLogits {
    const float* values = nullptr;
    size_t stride = 0;
    /** Tokens [0, usable) other than `mask` may be drafted. */
    int usable = 0;
    int32_t mask = 0;

    const float* row(int slot) const { return values + static_cast<size_t>(slot) * stride; }
};

/** What one row says. */
struct SlotView {
    int32_t best = 0;
    /** Best logit − second best. */
    double margin = 0;
    /** Probability of the best. */
    double confidence = 0;
};

/** @throws Error where the row holds numbers that are not finite. */
SlotView view_of(const SlotLogits& logits, int slot);
/** softmax(logits ÷ temperature) over the usable tokens, 0 for all others: [size]. */
void slot_distribution(const SlotLogits& logits, int slot, double temperature, int size, std::vector<float>& q);

struct DenoisingOptions {
    DenoisingSampler sampler = DenoisingSampler::confidence;
    int steps = 1;
    /** 0: always the best token. */
    double temperature = 0;
    /** Tokens of all steps but the last are drawn too; else they are their slots' best, which a point mass gains from.
     */
    bool drawn_early = false;
    /** Entries of the rows that are kept of drawn tokens. */
    int vocabulary = 0;
};

/** A slot of a block that is being denoised. */
struct DenoisingSlot {
    /** Step in which it was revealed: 1 to T, 0 for before the first; MASKED while it is not. */
    int step = MASKED;
    int32_t token = 0;
    /** Of the row it was revealed by; of the last row seen while it is masked. */
    SlotView view;
    /** q it was drawn from, for drawn tokens of early steps; else empty. */
    std::vector<float> q;

    static constexpr int MASKED = -1;
    bool masked() const { return step == MASKED; }
};

/**
 * The steps of one block of slots, all but the last: what is still masked then is independent given the rest, and the
 * caller draws it (docs/exactness.md). It knows no network: each step is given the rows of the slots as they stand.
 */
class Denoising {
  public:
    Denoising(const DenoisingOptions& options, int slots);

    const std::vector<DenoisingSlot>& slots() const { return slots_; }
    int masked() const;
    /** The step that comes next, from 1 on; options.steps for the last one. */
    int step() const { return step_; }
    bool last_step() const { return step_ >= options_.steps; }

    /** A hot start: reveals `token` before the first step. */
    void reveal(int slot, int32_t token, const SlotView& view);
    /** Begins part-way: as if `steps` steps (fewer than all) were done. */
    void skip(int steps);
    /** Slots that the schedule has revealed after `steps` steps. */
    int revealed_after(int steps) const;

    /** Looks at the rows of masked slots; to be called once a step, the last one included. */
    void look(const SlotLogits& logits);
    /** Takes the step, which is not the last one. look() came before. */
    void advance(const SlotLogits& logits, Rng& rng);

  private:
    void reveal_by(const SlotLogits& logits, size_t slot, Rng& rng);
    void reveal_surest(const SlotLogits& logits, Rng& rng);
    void mask_again(double chance, Rng& rng);

    DenoisingOptions options_;
    std::vector<double> times_;
    std::vector<DenoisingSlot> slots_;
    int step_ = 1;
};

} // namespace specdiff

#pragma once

#include "../core/engine.h"

#include <cstdint>
#include <string>
#include <vector>

namespace specdiff::test {

/** Sequences of `length` tokens in base V; one that ends early is filled up with the end-of-generation token. */
struct SequenceSpace {
    int vocabulary = 0;
    int length = 0;
    size_t cells() const;
};

/** Probability of every sequence after `job.prompt`, from the model's own one-row logits through the job's sampler. */
std::vector<double> exact_distribution(Engine& engine, const Job& job, const SequenceSpace& space);

struct Sampled {
    std::vector<uint32_t> counts;
    int drafted = 0;
    int accepted = 0;
};

/** Runs the job `samples` times with seeds seed, seed + 1, …, with the acceptance rule of that name. */
Sampled sample_sequences(Engine& engine, Job job, const SequenceSpace& space, int samples, const std::string& rule);

/** Passes that came after cancel() was called from within pass number `pass` (0: before the job); −1 where the job did
 * not end as cancelled. */
int passes_after_cancel(Engine& engine, const Job& job, int pass);

} // namespace specdiff::test

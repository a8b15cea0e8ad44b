#include "distribution.h"

#include "broken_rules.h"

#include <limits>

namespace specdiff::test {

namespace {

/** Depth-first over all continuations of `tokens`. */
class Enumeration {
  public:
    Enumeration(Engine& engine, const Job& job, const SequenceSpace& space)
        : engine_(engine), sampler_(job.sampling, space.vocabulary), space_(space), tokens_(job.prompt),
          result_(space.cells()) {}

    std::vector<double> run() {
        visit(0, 0, 1.0);
        return std::move(result_);
    }

  private:
    void visit(int depth, size_t code, double probability) {
        if (depth == space_.length) {
            result_[code] += probability;
            return;
        }
        const auto prefill =
            engine_.target_model().prefill(tokens_, std::numeric_limits<int>::max(), [](int) {}, [](const TapRows&) {});
        std::vector<float> p;
        sampler_.probabilities(prefill.logits, tokens_, p);
        for (int token = 0; token < space_.vocabulary; ++token) {
            const double chance = p[static_cast<size_t>(token)];
            if (chance <= 0) continue;
            size_t next = code * static_cast<size_t>(space_.vocabulary) + static_cast<size_t>(token);
            if (engine_.vocabulary().ends_generation(token)) {
                for (int i = depth + 1; i < space_.length; ++i) {
                    next = next * static_cast<size_t>(space_.vocabulary) + static_cast<size_t>(token);
                }
                result_[next] += probability * chance;
                continue;
            }
            tokens_.push_back(token);
            visit(depth + 1, next, probability * chance);
            tokens_.pop_back();
        }
    }

    Engine& engine_;
    Sampler sampler_;
    SequenceSpace space_;
    std::vector<int32_t> tokens_;
    std::vector<double> result_;
};

int32_t end_token(const Engine& engine) {
    for (int32_t token = 0; token < engine.vocabulary().size(); ++token) {
        if (engine.vocabulary().ends_generation(token)) return token;
    }
    return 0;
}

} // namespace

size_t SequenceSpace::cells() const {
    size_t count = 1;
    for (int i = 0; i < length; ++i)
        count *= static_cast<size_t>(vocabulary);
    return count;
}

std::vector<double> exact_distribution(Engine& engine, const Job& job, const SequenceSpace& space) {
    auto result = Enumeration(engine, job, space).run();
    engine.target_model().forget(); // the drafters saw none of this
    return result;
}

Sampled sample_sequences(Engine& engine, Job job, const SequenceSpace& space, int samples, const std::string& rule) {
    engine.decoder().set_acceptance_rule(rule_named(rule));
    Sampled result;
    result.counts.resize(space.cells());
    job.max_tokens = space.length + 1; // one more, so that a draft has room for several tokens
    const int32_t end = end_token(engine);
    for (int sample = 0; sample < samples; ++sample) {
        std::vector<int32_t> emitted;
        JobEvents events;
        events.on_prefill = [](const PrefillStats&) {};
        events.on_pass = [&](const Pass& pass) {
            for (const auto& token : pass.tokens)
                emitted.push_back(token.token);
            result.drafted += pass.drafted;
            result.accepted += pass.accepted;
        };
        engine.generate(job, events);
        ++job.sampling.seed;
        emitted.resize(static_cast<size_t>(space.length), end);
        size_t code = 0;
        for (const auto token : emitted)
            code = code * static_cast<size_t>(space.vocabulary) + static_cast<size_t>(token);
        ++result.counts[code];
    }
    engine.decoder().set_acceptance_rule(nullptr);
    return result;
}

int passes_after_cancel(Engine& engine, const Job& job, int pass) {
    int count = 0;
    JobEvents events;
    events.on_prefill = [](const PrefillStats&) {};
    events.on_pass = [&](const Pass&) {
        if (++count == pass) engine.cancel();
    };
    engine.reset_cancel();
    if (pass == 0) engine.cancel();
    const auto result = engine.generate(job, events);
    engine.reset_cancel();
    return result.reason == FinishReason::cancelled ? count - pass : -1;
}

} // namespace specdiff::test

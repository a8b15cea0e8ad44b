#include "answer_writer.h"

#include "../core/error.h"

#include <algorithm>
#include <utility>

namespace specdiff::training {

namespace {

/** A copy moves a sequence's whole cache, which costs about as much as evaluating this many tokens. */
constexpr int LEAST_COPIED = 24;

int common_prefix(const std::vector<int32_t>& a, const std::vector<int32_t>& b) {
    const auto limit = std::min(a.size(), b.size());
    size_t length = 0;
    while (length < limit && a[length] == b[length])
        ++length;
    return static_cast<int>(length);
}

} // namespace

AnswerWriter::AnswerWriter(BatchContext& context, const Vocabulary& vocabulary, int places, AnswerEvents events)
    : context_(context), vocabulary_(vocabulary), events_(std::move(events)), places_(static_cast<size_t>(places)) {}

void AnswerWriter::add(AnswerRequest request) {
    if (request.prompt.empty()) throw Error("Request " + request.id + " has an empty prompt.");
    const auto needed = static_cast<int>(request.prompt.size()) + request.max_tokens;
    if (request.max_tokens < 1 || needed > context_.tokens_each()) {
        throw Error("Request " + request.id + " needs " + std::to_string(needed) + " tokens and a sequence holds " +
                    std::to_string(context_.tokens_each()) + ": raise --context.");
    }
    for (const auto token : request.prompt) {
        if (!vocabulary_.contains(token))
            throw Error("Request " + request.id + " holds token " + std::to_string(token) +
                        ", which is outside the target's vocabulary: tokenize it with the same model.");
    }
    queue_.push_back(std::move(request));
}

void AnswerWriter::stop(const std::string& id) {
    for (auto& place : places_) {
        if (place.request && place.request->id == id) place.request.reset();
    }
    queue_.erase(std::remove_if(queue_.begin(), queue_.end(), [&](const auto& request) { return request.id == id; }),
                 queue_.end());
}

bool AnswerWriter::idle() const {
    return queue_.empty() &&
           std::none_of(places_.begin(), places_.end(), [](const Place& place) { return place.request.has_value(); });
}

void AnswerWriter::pass() {
    for (size_t i = 0; i < places_.size() && !queue_.empty(); ++i) {
        if (places_[i].request) continue;
        auto request = std::move(queue_.front());
        queue_.pop_front();
        start(static_cast<int>(i), std::move(request));
    }
    std::vector<BatchContext::Row> rows;
    std::vector<Place*> running;
    for (size_t i = 0; i < places_.size(); ++i) {
        auto& place = places_[i];
        if (!place.request) continue;
        rows.push_back({static_cast<int>(i), place.tokens.back(), static_cast<int>(place.cached.size()), true});
        running.push_back(&place);
    }
    if (rows.empty()) return;
    context_.evaluate(rows);
    for (size_t row = 0; row < rows.size(); ++row) {
        running[row]->cached.push_back(rows[row].token);
        choose(*running[row], context_.logits(static_cast<int>(row)));
    }
}

void AnswerWriter::start(int index, AnswerRequest request) {
    auto& place = places_[static_cast<size_t>(index)];
    const auto length = static_cast<int>(request.prompt.size());
    int position = reuse(index, request.prompt);
    place.tokens = request.prompt;
    SamplingOptions sampling;
    sampling.temperature = request.temperature;
    sampling.seed = request.seed;
    place.sampler.emplace(sampling, vocabulary_.size());
    place.rng.emplace(request.seed);
    place.request = std::move(request);
    int last = 0;
    while (position < length) {
        std::vector<BatchContext::Row> rows;
        const int end = std::min(length, position + BatchContext::MOST_ROWS);
        last = end - position - 1;
        for (; position < end; ++position)
            rows.push_back({index, place.tokens[static_cast<size_t>(position)], position, position + 1 == length});
        context_.evaluate(rows);
    }
    place.cached = place.tokens;
    choose(place, context_.logits(last));
}

/** Brings as much of the prompt as some place knows into this one's cache; returns its length, below the prompt's. */
int AnswerWriter::reuse(int index, const std::vector<int32_t>& prompt) {
    const int most = static_cast<int>(prompt.size()) - 1;
    auto& place = places_[static_cast<size_t>(index)];
    int best = std::min(common_prefix(place.cached, prompt), most);
    int source = index;
    for (size_t i = 0; i < places_.size(); ++i) {
        const int length = std::min(common_prefix(places_[i].cached, prompt), most);
        if (length >= best + LEAST_COPIED) {
            best = length;
            source = static_cast<int>(i);
        }
    }
    if (source != index) context_.copy(source, index);
    context_.truncate(index, best);
    return best;
}

/** Takes the answer's next token from the logits that follow its last one. */
void AnswerWriter::choose(Place& place, const float* logits) {
    if (!place.request || !place.sampler || !place.rng) return; // nothing is being written there
    int32_t token = 0;
    if (place.sampler->greedy()) {
        token = place.sampler->best(logits, place.tokens);
    } else {
        place.sampler->probabilities(logits, place.tokens, p_);
        token = draw(p_, *place.rng);
    }
    const std::string id = place.request->id;
    place.tokens.push_back(token);
    events_.on_token(id, token);
    if (vocabulary_.ends_generation(token)) {
        place.request.reset();
        events_.on_end(id, AnswerEnd::end_of_text);
    } else if (static_cast<int>(place.tokens.size() - place.request->prompt.size()) >= place.request->max_tokens) {
        place.request.reset();
        events_.on_end(id, AnswerEnd::max_tokens);
    }
}

} // namespace specdiff::training

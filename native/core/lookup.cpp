#include "lookup.h"

namespace specdiff {

void Lookup::start(const std::vector<int32_t>& others, const std::vector<int32_t>& prompt, bool with_past) {
    with_past_ = with_past;
    texts_.clear();
    texts_.reserve(others.size() + prompt.size() + 1);
    texts_.append_last(others, static_cast<int>(others.size()));
    texts_.append(NgramIndex::SEPARATOR);
    texts_.append_last(prompt, static_cast<int>(prompt.size()));
}

Lookup::Match Lookup::find(int longest) const {
    const auto own = texts_.find(longest);
    if (with_past_) {
        const auto past = past_.index().find_suffix_of(texts_, longest);
        if (past.length > own.length) return {past.length, past.next, true};
    }
    return {own.length, own.next, false};
}

std::vector<int32_t> Lookup::copy(const Match& match, int count) const {
    return (match.past ? past_.index() : texts_).copy({match.length, match.next}, count);
}

} // namespace specdiff

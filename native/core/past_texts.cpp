#include "past_texts.h"

#include <algorithm>

namespace specdiff {

void PastTexts::begin_with(std::vector<int32_t> phrases) {
    phrases_ = std::move(phrases);
    if (!phrases_.empty()) phrases_.push_back(NgramIndex::SEPARATOR);
    index_again();
}

void PastTexts::remember(const std::vector<int32_t>& tokens, int count) {
    if (count <= 0) return;
    const auto kept = std::min(tokens.size(), static_cast<size_t>(count) + NgramIndex::LONGEST);
    const auto before = written_.size();
    written_.insert(written_.end(), tokens.end() - static_cast<std::ptrdiff_t>(kept), tokens.end());
    written_.push_back(NgramIndex::SEPARATOR);
    if (written_.size() <= MOST_TOKENS) {
        index_.append_last(written_, static_cast<int>(written_.size() - before));
        return;
    }
    // Half goes at once, so that it is seldom that everything is indexed again.
    const auto middle = written_.end() - static_cast<std::ptrdiff_t>(MOST_TOKENS / 2);
    written_.erase(written_.begin(), std::next(std::find(middle, written_.end(), NgramIndex::SEPARATOR)));
    index_again();
}

void PastTexts::index_again() {
    index_.clear();
    index_.append_last(phrases_, static_cast<int>(phrases_.size()));
    index_.append_last(written_, static_cast<int>(written_.size()));
}

} // namespace specdiff

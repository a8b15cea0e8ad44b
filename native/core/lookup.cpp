#include "lookup.h"

#include <algorithm>

namespace specdiff {

void Lookup::learn(const std::vector<int32_t>& tokens, size_t first, int weight) {
    if (!learned_) learned_ = known_;
    learned_->learn(tokens, first, weight);
}

void Lookup::start(const std::vector<int32_t>& others, const std::vector<int32_t>& prompt) {
    texts_.clear();
    texts_.reserve(others.size() + prompt.size() + 1);
    texts_.append_last(others, static_cast<int>(others.size()));
    texts_.append(NgramIndex::SEPARATOR);
    texts_.append_last(prompt, static_cast<int>(prompt.size()));
}

Lookup::Match Lookup::find(int longest) const {
    const auto copied = texts_.find(longest);
    if (copied.length < std::min(longest, Phrases::LONGEST)) {
        const Evidence evidence{copied.length, -1, phrases().next(texts_.tokens(), longest)};
        // An unsure phrase only where nothing can be copied: τ 2.209 on the validation answers, 2.183 without that.
        if (evidence.phrased()) return {evidence.phrase.length, 0, true, evidence.phrase.sure()};
    }
    return {copied.length, copied.next, false, false};
}

std::vector<int32_t> Lookup::copy(const Match& match, int count) const {
    if (!match.phrase) return texts_.copy({match.length, match.next}, count);
    const auto& tokens = texts_.tokens();
    const auto known = std::min(tokens.size(), static_cast<size_t>(Phrases::LONGEST));
    std::vector<int32_t> text(tokens.end() - static_cast<std::ptrdiff_t>(known), tokens.end());
    // Of a shorter match the first token comes after a shorter context.
    for (int longest = match.length; text.size() < known + static_cast<size_t>(count); longest = Phrases::LONGEST) {
        const auto next = phrases().next(text, longest);
        if (next.length == 0) break;
        text.push_back(next.token);
    }
    text.erase(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(known));
    return text;
}

Lookup::Evidence Lookup::after(const std::vector<int32_t>& path) const {
    const auto& text = texts_.tokens();
    const auto known = std::min(text.size(), static_cast<size_t>(NgramIndex::LONGEST));
    std::vector<int32_t> end(text.end() - static_cast<std::ptrdiff_t>(known), text.end());
    end.insert(end.end(), path.begin(), path.end());
    Evidence evidence;
    const auto match = texts_.find_end(end);
    if (match.length > 0) {
        evidence.matched = match.length;
        evidence.copied = texts_.tokens()[match.next];
    }
    evidence.phrase = phrases().next(end);
    return evidence;
}

} // namespace specdiff

#include "ngram_index.h"

#include "fetch.h"

#include <algorithm>
#include <array>

namespace specdiff {

namespace {

constexpr size_t FIRST_SLOTS = 1024;

} // namespace

NgramIndex::NgramIndex() : slots_(FIRST_SLOTS) {}

void NgramIndex::clear() {
    tokens_.clear();
    std::fill(slots_.begin(), slots_.end(), Slot());
    used_ = 0;
}

void NgramIndex::reserve(size_t tokens) {
    tokens_.reserve(tokens);
    size_t wanted = FIRST_SLOTS;
    while (wanted < tokens * 2 * LONGEST)
        wanted *= 2;
    if (wanted > slots_.size() && used_ == 0) slots_.assign(wanted, Slot());
}

void NgramIndex::append(int32_t token) {
    tokens_.push_back(token);
    // The n-grams before it have a continuation only now.
    if (tokens_.size() > 1 && token != SEPARATOR) index_before(tokens_.size() - 1);
}

void NgramIndex::append_last(const std::vector<int32_t>& tokens, int count) {
    for (auto i = tokens.size() - static_cast<size_t>(count); i < tokens.size(); ++i)
        append(tokens[i]);
}

void NgramIndex::index_before(size_t next) {
    std::array<uint64_t, LONGEST> all{};
    const int count = suffix_hashes(tokens_, next, all);
    for (int i = 0; i < count; ++i)
        insert(all[static_cast<size_t>(i)], next);
}

void NgramIndex::insert(uint64_t hash, size_t next) {
    if (2 * (used_ + 1) > slots_.size()) return grow(); // indexes everything again, this one too
    const size_t mask = slots_.size() - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        Slot& slot = slots_[i];
        if (slot.next != 0 && slot.check != check_of(hash)) continue;
        if (slot.next == 0) ++used_;
        slot = {check_of(hash), static_cast<uint32_t>(next)};
        return;
    }
}

void NgramIndex::grow() {
    slots_.assign(2 * slots_.size(), Slot());
    used_ = 0;
    for (size_t next = 1; next < tokens_.size(); ++next) {
        if (tokens_[next] != SEPARATOR) index_before(next);
    }
}

bool NgramIndex::matches(size_t next, const std::vector<int32_t>& text, int length) const {
    for (int i = 1; i <= length; ++i) {
        const auto back = static_cast<size_t>(i);
        if (next < back || tokens_[next - back] != text[text.size() - back]) return false;
    }
    return true;
}

NgramIndex::Match NgramIndex::find_end(const std::vector<int32_t>& text, int longest) const {
    std::array<uint64_t, LONGEST> all{};
    const int count = std::min(suffix_hashes(text, text.size(), all), longest);
    const size_t mask = slots_.size() - 1;
    for (int i = 0; i < count; ++i)
        fetch(&slots_[all[static_cast<size_t>(i)] & mask]);
    for (int length = count; length >= 1; --length) {
        const uint64_t hash = all[static_cast<size_t>(length - 1)];
        for (size_t i = hash & mask; slots_[i].next != 0; i = (i + 1) & mask) {
            if (slots_[i].check != check_of(hash)) continue;
            if (matches(slots_[i].next, text, length)) return {length, slots_[i].next};
            break; // another n-gram with the same check took the place
        }
    }
    return {};
}

std::vector<int32_t> NgramIndex::copy(const Match& match, int count) const {
    std::vector<int32_t> result;
    if (match.length == 0) return result;
    for (size_t i = match.next; static_cast<int>(result.size()) < count; ++i) {
        if (i == tokens_.size()) i = match.next;
        if (tokens_[i] == SEPARATOR) break;
        result.push_back(tokens_[i]);
    }
    return result;
}

} // namespace specdiff

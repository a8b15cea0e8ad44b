#include "phrases.h"

#include "fetch.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

namespace specdiff {

namespace {

constexpr size_t FIRST_SLOTS = 1024;
/** 10 MB; beyond, what came once is forgotten. */
constexpr size_t MOST_SLOTS = size_t{1} << 19;
/** What came once says little: τ of lookup with it 2.119, without 2.150 on the validation answers. */
constexpr int LEAST_COUNT = 2;
constexpr int MOST_COUNT = std::numeric_limits<uint16_t>::max() / 2;

} // namespace

Phrases::Phrases() : slots_(FIRST_SLOTS) {}

void Phrases::know(const std::vector<Entry>& entries) {
    for (const Entry& entry : entries) {
        if (2 * (used_ + 1) > slots_.size()) make_room();
        Slot& slot = slots_[place_of(entry.check)];
        if (slot.count != 0 || entry.count == 0) continue;
        slot = {entry.check, entry.token, SEPARATOR, entry.count, std::min(entry.second_count, entry.count), true};
        ++used_;
    }
}

void Phrases::learn(const std::vector<int32_t>& tokens, size_t first, int weight) {
    std::array<uint64_t, LONGEST> all{};
    // Contexts begin at `first` at the earliest.
    for (size_t i = first + 1; i < tokens.size(); ++i) {
        if (tokens[i] == SEPARATOR) continue;
        const int known =
            std::min(suffix_hashes(tokens, i, all), static_cast<int>(std::min<size_t>(i - first, LONGEST)));
        for (int length = 0; length < known; ++length)
            count(check_of(all[static_cast<size_t>(length)]), tokens[i], weight);
    }
}

Phrases::Next Phrases::next(const std::vector<int32_t>& text, int longest) const {
    std::array<uint64_t, LONGEST> all{};
    const int known = std::min(suffix_hashes(text, text.size(), all), longest);
    for (int i = 0; i < known; ++i)
        fetch(&slots_[check_of(all[static_cast<size_t>(i)]) & (slots_.size() - 1)]);
    for (int length = known; length >= 1; --length) {
        const Slot& slot = slots_[place_of(check_of(all[static_cast<size_t>(length - 1)]))];
        if (slot.count >= LEAST_COUNT) return {length, slot.best, slot.count, slot.second_count};
    }
    return {};
}

/** The two most frequent of a stream in constant room: a third token wears the second down before it takes its place.
 */
void Phrases::Slot::add(int32_t token, int weight) {
    const auto more = [weight](uint16_t& number) {
        number = static_cast<uint16_t>(std::min(number + weight, MOST_COUNT));
    };
    if (count == 0 || token == best) {
        best = token;
        more(count);
    } else if (second_count == 0 || token == second) {
        second = token;
        more(second_count);
    } else if (second_count > weight) {
        second_count = static_cast<uint16_t>(second_count - weight);
    } else {
        second = token;
        second_count = static_cast<uint16_t>(weight);
    }
    if (second_count >= count) {
        std::swap(best, second);
        std::swap(count, second_count);
    }
}

void Phrases::count(uint32_t check, int32_t token, int weight) {
    if (2 * (used_ + 1) > slots_.size()) make_room();
    Slot& slot = slots_[place_of(check)];
    if (slot.count == 0) {
        slot.check = check;
        ++used_;
    }
    slot.add(token, weight);
}

/** Index of the context's slot, or of the empty one that it would take. */
size_t Phrases::place_of(uint32_t check) const {
    const size_t mask = slots_.size() - 1;
    size_t i = check & mask;
    while (slots_[i].count != 0 && slots_[i].check != check)
        i = (i + 1) & mask;
    return i;
}

/** More slots; where there are the most already, every count is halved and what came once goes, but for the file's. */
void Phrases::make_room() {
    std::vector<Slot, HugeAllocator<Slot>> old(slots_.size() < MOST_SLOTS ? 2 * slots_.size() : slots_.size());
    const bool halve = old.size() == slots_.size();
    old.swap(slots_);
    used_ = 0;
    for (Slot slot : old) {
        if (halve) {
            slot.count = static_cast<uint16_t>(slot.kept ? std::max(slot.count / 2, LEAST_COUNT) : slot.count / 2);
            slot.second_count = static_cast<uint16_t>(slot.second_count / 2);
        }
        if (slot.count == 0) continue;
        slots_[place_of(slot.check)] = slot;
        ++used_;
    }
    if (2 * (used_ + 1) > slots_.size()) make_room();
}

} // namespace specdiff

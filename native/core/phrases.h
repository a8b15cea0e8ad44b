#pragma once

#include "huge_allocator.h"
#include "token_hash.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace specdiff {

/**
 * The target's turns of phrase: what it mostly writes after its last one to LONGEST tokens. Counted in answers of its
 * own, whose most useful counts the drafter's file brings, and in what earlier jobs wrote: an editor often asks at
 * nearly the same place again.
 *
 * A hash table with the two most frequent continuations of every context; the texts themselves are not kept.
 */
class Phrases {
  public:
    static constexpr int LONGEST = 4;
    /** Of a file's, which are never forgotten: the table has room for half as many more. */
    static constexpr size_t MOST_KNOWN = 200'000;
    /** Stands between texts; no context goes across. */
    static constexpr int32_t SEPARATOR = TEXT_SEPARATOR;

    struct Next {
        /** Tokens of the longest context that is known; 0 for none. */
        int length = 0;
        int32_t token = SEPARATOR;
        /** How often it came, and the second most frequent one. */
        int count = 0;
        int second_count = 0;
        /** It came three times as often as any other. */
        bool sure() const { return length > 0 && count >= 3 * second_count; }
    };

    /** What is known of one context. */
    struct Entry {
        /** Of the context's tokens, see token_hash.h. */
        uint32_t check = 0;
        /** Its most frequent continuation, how often that came, and how often the second. */
        int32_t token = SEPARATOR;
        uint16_t count = 0;
        uint16_t second_count = 0;
    };

    Phrases();

    /** Takes over counts of another time; a context that is there already stays as it is. */
    void know(const std::vector<Entry>& entries);
    /** Counts the texts in `tokens` from index `first` on, each occurrence as `weight`. */
    void learn(const std::vector<int32_t>& tokens, size_t first, int weight);
    /** What follows the last tokens of `text`, by a context of at most `longest`. */
    Next next(const std::vector<int32_t>& text, int longest = LONGEST) const;

  private:
    struct Slot {
        /** Of the context; also says where it is looked for. */
        uint32_t check = 0;
        int32_t best = SEPARATOR;
        int32_t second = SEPARATOR;
        /** Of `best`; 0 is an empty slot. */
        uint16_t count = 0;
        uint16_t second_count = 0;
        /** From the file: rare or not, it was found worth keeping, so it is never forgotten. */
        bool kept = false;

        void add(int32_t token, int weight);
    };

    void count(uint32_t check, int32_t token, int weight);
    size_t place_of(uint32_t check) const;
    void make_room();

    std::vector<Slot, HugeAllocator<Slot>> slots_;
    size_t used_ = 0;
};

} // namespace specdiff

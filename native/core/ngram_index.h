#pragma once

#include "token_hash.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace specdiff {

/**
 * Cyclic prompt lookup over a growing text: where did its last n tokens stand before, and what followed?
 * A hash table holds the newest place of every n-gram of up to LONGEST tokens, so that a lookup takes a constant time.
 */
class NgramIndex {
  public:
    static constexpr int LONGEST = 8;
    /** Stands between texts; no copy crosses it. */
    static constexpr int32_t SEPARATOR = TEXT_SEPARATOR;

    struct Match {
        /** Tokens of the suffix that matched; 0 for no match. */
        int length = 0;
        /** Index of the token that followed the match. */
        size_t next = 0;
    };

    NgramIndex();

    void clear();
    void reserve(size_t tokens);
    void append(int32_t token);
    /** The last `count` of `tokens`. */
    void append_last(const std::vector<int32_t>& tokens, int count);
    const std::vector<int32_t>& tokens() const { return tokens_; }

    /** The longest suffix of at most `longest` tokens that occurred before, its newest occurrence. */
    Match find(int longest = LONGEST) const { return find_end(tokens_, longest); }
    /** The same for the end of another text, one that goes on from this one. */
    Match find_end(const std::vector<int32_t>& text, int longest = LONGEST) const;
    /** What followed the match, at most `count` tokens; the copy wraps round where it reaches the end of the text. */
    std::vector<int32_t> copy(const Match& match, int count) const;

  private:
    struct Slot {
        uint32_t check = 0;
        /** Index of the token after the n-gram; 0 is an empty slot, since no n-gram ends before index 0. */
        uint32_t next = 0;
    };

    void index_before(size_t next);
    void insert(uint64_t hash, size_t next);
    void grow();
    bool matches(size_t next, const std::vector<int32_t>& text, int length) const;

    std::vector<int32_t> tokens_;
    std::vector<Slot> slots_;
    size_t used_ = 0;
};

} // namespace specdiff

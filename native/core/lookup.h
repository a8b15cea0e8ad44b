#pragma once

#include "ngram_index.h"
#include "past_texts.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace specdiff {

/** Cyclic prompt lookup over the running job's texts and, where they match fewer tokens, over what was written before. */
class Lookup {
  public:
    struct Match {
        /** Tokens of the suffix that matched; 0 for no match. */
        int length = 0;
        /** Index of the token that followed the match, in the texts that it was found in. */
        size_t next = 0;
        /** Found among what was written in earlier jobs. */
        bool past = false;
    };

    PastTexts& past() { return past_; }
    /** A job's other texts, then its prompt. */
    void start(const std::vector<int32_t>& others, const std::vector<int32_t>& prompt, bool with_past);
    /** The last `count` of `tokens` were written. */
    void append_last(const std::vector<int32_t>& tokens, int count) { texts_.append_last(tokens, count); }

    /** The longest suffix of at most `longest` tokens that occurred before, its newest occurrence. */
    Match find(int longest = NgramIndex::LONGEST) const;
    /** What followed the match, at most `count` tokens; within the job's texts the copy wraps round at their end. */
    std::vector<int32_t> copy(const Match& match, int count) const;

  private:
    NgramIndex texts_;
    PastTexts past_;
    bool with_past_ = false;
};

} // namespace specdiff

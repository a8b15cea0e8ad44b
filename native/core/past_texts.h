#pragma once

#include "ngram_index.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace specdiff {

/**
 * What the target wrote in earlier jobs: a model has its own turns of phrase, and an editor often asks at nearly the
 * same place again. Kept in memory only, and forgotten from its old end on.
 */
class PastTexts {
  public:
    /** Tokens of earlier jobs that are kept at most. */
    static constexpr size_t MOST_TOKENS = 16384;

    /** Texts to begin with, SEPARATOR between them; they are never forgotten. */
    void begin_with(std::vector<int32_t> phrases);
    /** The last `count` of `tokens` were written; what stood right before them is kept too, so that a place is known again. */
    void remember(const std::vector<int32_t>& tokens, int count);
    const NgramIndex& index() const { return index_; }

  private:
    void index_again();

    std::vector<int32_t> phrases_;
    /** Texts of jobs, oldest first, each with a SEPARATOR behind it. */
    std::vector<int32_t> written_;
    /** Of `phrases_`, then `written_`. */
    NgramIndex index_;
};

} // namespace specdiff

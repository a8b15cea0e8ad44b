#pragma once

#include "survival.h"

#include <cstdint>
#include <string>
#include <vector>

namespace specdiff {

/**
 * Judges drafts that cost nothing to write (lookup) by the text that came, whether they were verified or not: so no
 * pass is spent on finding out whether they would have been right. Exact for sampled text too: a looked-up token is the
 * emitted one with the probability p(token) that verification would accept it with.
 */
class Hindsight {
  public:
    void clear() { open_.clear(); }
    /** `tokens` would follow the text as it stands now. */
    void foresee(const std::string& source, int outlook, std::vector<int32_t> tokens);
    /** The next token of the text. */
    void emitted(int32_t token, bool greedy, Survival& survival);

  private:
    struct Guess {
        std::string source;
        int outlook;
        std::vector<int32_t> tokens;
        size_t right;
    };
    std::vector<Guess> open_;
};

} // namespace specdiff

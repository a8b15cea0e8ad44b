#pragma once

#include "ngram_index.h"
#include "phrases.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace specdiff {

/**
 * Cyclic prompt lookup over the running job's texts and, where they match fewer tokens, the target's sure turns of
 * phrase; where they match nothing, any.
 */
class Lookup {
  public:
    struct Match {
        /** Tokens of the suffix that matched; 0 for no match. */
        int length = 0;
        /** Index in the job's texts of the token that followed the match. */
        size_t next = 0;
        /** A turn of phrase, and whether it is a sure one. */
        bool phrase = false;
        bool sure = false;
    };

    /** What comes after the text and some tokens more. */
    struct Evidence {
        /** Tokens that matched in the texts, and what followed them; 0 and −1 where nothing matched. */
        int matched = 0;
        int32_t copied = -1;
        /** The target's turn of phrase; of length 0 where none is known. */
        Phrases::Next phrase;

        /** Whether the phrase is the better of the two. */
        bool phrased() const { return phrase.length > matched && (phrase.sure() || matched == 0); }
        /** The better of the two, and its token. */
        Match best() const { return phrased() ? Match{phrase.length, 0, true, phrase.sure()} : Match{matched}; }
        int32_t best_token() const { return phrased() ? phrase.token : copied; }
    };

    /** Turns of phrase that came with the drafter: every job's. Before any are learned. */
    void know(const std::vector<Phrases::Entry>& entries) { known_.know(entries); }
    /** Phrases::learn(): for later jobs that remember. */
    void learn(const std::vector<int32_t>& tokens, size_t first, int weight);
    void forget_learned() { learned_.reset(); }
    /** A job's other texts, then its prompt. */
    void start(const std::vector<int32_t>& others, const std::vector<int32_t>& prompt);
    /** The last `count` of `tokens` were written. */
    void append_last(const std::vector<int32_t>& tokens, int count) { texts_.append_last(tokens, count); }

    /** The longest suffix of at most `longest` tokens that occurred before, its newest occurrence. */
    Match find(int longest = NgramIndex::LONGEST) const;
    /**
     * What followed the match, at most `count` tokens: copied from the texts, round and round where they end; of a
     * turn of phrase word by word what mostly came next.
     */
    std::vector<int32_t> copy(const Match& match, int count) const;
    /** What the texts and the phrases say, each by itself, where the text goes on with `path`. */
    Evidence after(const std::vector<int32_t>& path) const;

  private:
    const Phrases& phrases() const { return learned_ ? *learned_ : known_; }

    NgramIndex texts_;
    Phrases known_;
    /** The same and what was learned; none before. */
    std::optional<Phrases> learned_;
};

} // namespace specdiff

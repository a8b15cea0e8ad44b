#pragma once

#include <cstddef>
#include <vector>

namespace specdiff {

/**
 * Which cached rows came out of a batch of more than invariant_rows() rows, and so from a prompt's kernels. A row that
 * is evaluated anew (a drafter wants its taps, rejected branches are to go) must come out of a batch of the same kind,
 * or it would not have the bits that plain decoding still has in its cache.
 */
class RowOrigins {
  public:
    void add(int count, bool prompt) { prompt_.insert(prompt_.end(), static_cast<size_t>(count), prompt); }
    /** Forgets what lies behind `length` rows. */
    void cut(int length);
    /** Where to begin with rows up to `until`: at `from`, or before where too few of a prompt's rows would be left. */
    int begin(int from, int until) const;
    /** Rows of the batch, of at most `most`, that evaluates those from `position` on, before `until`, anew. */
    int batch(int position, int until, int most) const;

  private:
    int run_end(int position, int until) const;

    std::vector<bool> prompt_;
};

} // namespace specdiff

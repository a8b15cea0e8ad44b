#include "row_origins.h"

#include "backend.h"

#include <algorithm>

namespace specdiff {

void RowOrigins::cut(int length) {
    if (static_cast<size_t>(length) < prompt_.size()) prompt_.resize(static_cast<size_t>(length));
}

/** Rows from `position` to there came out of batches of one kind. */
int RowOrigins::run_end(int position, int until) const {
    const auto first = prompt_.begin() + position;
    return static_cast<int>(std::find(first, prompt_.begin() + until, !*first) - prompt_.begin());
}

int RowOrigins::begin(int from, int until) const {
    if (from >= until || !prompt_[static_cast<size_t>(from)]) return from;
    const int wanted = run_end(from, until) - invariant_rows() - 1;
    while (from > std::max(wanted, 0) && prompt_[static_cast<size_t>(from) - 1])
        --from;
    return from;
}

int RowOrigins::batch(int position, int until, int most) const {
    const int rows = run_end(position, until) - position;
    if (!prompt_[static_cast<size_t>(position)]) return std::min({rows, most, invariant_rows()});
    // Not so many that too few are left for another batch of the kind.
    const int left = rows - most;
    return left > 0 && left <= invariant_rows() ? std::max(rows - invariant_rows() - 1, 1) : std::min(rows, most);
}

} // namespace specdiff

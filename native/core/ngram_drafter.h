#pragma once

#include "drafter.h"

#include <memory>

namespace specdiff {

/**
 * Cyclic prompt lookup: copies what followed the newest place where the text's last tokens stood before, in the lookup
 * tokens, the prompt or the own output (prompt lookup decoding, Saxena 2023; made cyclic). q is a point mass.
 */
std::unique_ptr<Drafter> make_ngram_drafter();

} // namespace specdiff

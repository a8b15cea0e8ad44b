#pragma once

#include <stdexcept>

namespace specdiff {

/** What went wrong and what to do next, in one clear sentence; shown to users as it is. */
class Error : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/** Thrown through a decoding step that cancel() ended. */
class Cancelled : public std::exception {
  public:
    const char* what() const noexcept override { return "cancelled"; }
};

} // namespace specdiff

#pragma once

#include <memory>
#include <optional>
#include <string>

namespace specdiff::training {

/** Lines of standard input, read by a thread of its own, so that a pass never waits for them. */
class LineQueue {
  public:
    LineQueue();

    /** The next line; none where there is none yet (`wait` false) or the input has ended (`wait` true). */
    std::optional<std::string> next(bool wait);

  private:
    struct Lines;
    static void read(Lines& lines);

    /** Shared with the reading thread, which only the input's end ends: it may outlive this. */
    std::shared_ptr<Lines> lines_;
};

} // namespace specdiff::training

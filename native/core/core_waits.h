#pragma once

#include <memory>

namespace specdiff {

/**
 * How long threads of this process waited for a core that another process had. On Linux the kernel counts it for each
 * thread (/proc/…/schedstat); elsewhere it is guessed from involuntary context switches. Not thread-safe.
 */
class CoreWaits {
  public:
    /** Takes note of the threads that exist. */
    CoreWaits();
    ~CoreWaits();
    CoreWaits(const CoreWaits&) = delete;
    CoreWaits& operator=(const CoreWaits&) = delete;

    /** Watches the threads that were started since, beside whichever calls `longest_ms`. */
    void watch_new_threads();
    /** The longest wait of one of these threads since the last call from the same thread, in milliseconds. */
    double longest_ms();

  private:
    struct Watch;
    std::unique_ptr<Watch> watch_;
};

} // namespace specdiff

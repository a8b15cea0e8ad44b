#pragma once

namespace specdiff {

/**
 * Chooses how many threads compute beside whatever else runs on the machine. Compute threads wait for each other at
 * hundreds of barriers a pass, spinning; when one loses its core for a time slice, all wait for it. How long they wait
 * for a core tells how much that costs. On two Zen 3 cores, 2 threads against 1: longest wait 1 % of the time (nothing
 * beside us) 1.6 times as fast, 10 % (a process of low priority) 1.1, 34 % (one of the same priority) 0.4.
 * Not thread-safe; has no clock of its own.
 */
class ThreadGovernor {
  public:
    explicit ThreadGovernor(int most) : most_(most), current_(most) {}

    int threads() const { return current_; }
    /** In a pass of `wall_ms` a thread waited up to `waited_ms` for a core. `now_ms`: time at its end. */
    void observe(double wall_ms, double waited_ms, double now_ms);

  private:
    int most_;
    int current_;
    /** Sums since the last judgement. */
    double window_ms_ = 0;
    double window_waited_ms_ = 0;
    /** When one more thread is tried, and how long that waits after it failed again. */
    double retry_at_ms_ = 0;
    double patience_ms_ = 0;
};

} // namespace specdiff

#pragma once

namespace specdiff {

/**
 * Chooses how many threads compute beside whatever else runs on the machine. Compute threads wait for each other at
 * hundreds of barriers a pass, spinning; when one loses its core for a time slice, all wait for it: 2 threads with one
 * busy process beside them are 6.5 times slower than alone, 1 thread hardly at all (Zen 4, 2 cores). Spinning threads
 * never give up a core by themselves, so involuntary context switches tell that somebody else wants one.
 * Not thread-safe; has no clock of its own.
 */
class ThreadGovernor {
  public:
    explicit ThreadGovernor(int most) : most_(most), current_(most) {}

    int threads() const { return current_; }
    /** A pass took `wall_ms` and lost a core `switches` times. `now_ms`: time at its end. */
    void observe(double wall_ms, long switches, double now_ms);

  private:
    int most_;
    int current_;
    /** Sums since the last judgement. */
    double window_ms_ = 0;
    long window_switches_ = 0;
    /** When one more thread is tried, and how long that waits after it failed again. */
    double retry_at_ms_ = 0;
    double patience_ms_ = 0;
};

} // namespace specdiff

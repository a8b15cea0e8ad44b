#pragma once

#include <array>
#include <iosfwd>

namespace specdiff {

/**
 * c(n, context): what a target pass of n rows takes, relative to one row over the same context. Measured while running.
 *
 * A measured time is (slowness now) · c(n): slowness is the time of a one-row pass at this moment and follows the
 * machine quickly (other processes, clock rates); the ratios belong to model and device and move slowly. So a busy
 * neighbour slows every arm alike and changes no decision, and one late pass changes next to nothing.
 */
class CostModel {
  public:
    static constexpr int MAX_ROWS = 64;

    /** A pass of `rows` (1 to MAX_ROWS) over `context` cached tokens took `ms`. */
    void add(int rows, int context, double ms);
    /** From the quickest of several quiet passes at load: taken as it is. */
    void calibrate(int rows, double ms);

    /** c(n, context), never less than for fewer rows; 1 for one row. Between measured sizes a straight line. */
    double cost(int rows, int context) const;
    /** Time of a one-row pass now; 0 while nothing was measured. */
    double slowness_ms() const { return slowness_ms_; }
    /** Passes of that many rows measured or read. */
    bool knows(int rows) const;

    void write(std::ostream& out) const;
    /** Reads what write() wrote; false leaves the model as it was. */
    bool read(std::istream& in);

  private:
    /** Contexts of up to 256, 512, 1,024 … tokens are measured apart: attention grows with them. */
    static constexpr int BUCKETS = 8;
    struct Ratio {
        double value = 0;
        double weight = 0;
    };
    using Curve = std::array<double, MAX_ROWS + 1>;

    static int bucket(int context);
    void changed();
    const Curve& curve(int bucket) const;

    std::array<std::array<Ratio, MAX_ROWS + 1>, BUCKETS> ratios_{};
    /** Fitted when they are asked for. */
    mutable std::array<Curve, BUCKETS> curves_{};
    mutable std::array<bool, BUCKETS> fitted_{};
    bool measured_ = false;
    double slowness_ms_ = 0;
    double slowness_weight_ = 0;
};

} // namespace specdiff

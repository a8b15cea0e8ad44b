#pragma once

#include <array>
#include <iosfwd>
#include <vector>

namespace specdiff {

/**
 * c(n, context): what a target pass of n rows takes, relative to one row over the same context. Measured while running.
 *
 * A measured time is (slowness now) · c(n): slowness is the time of a one-row pass at this moment and follows the
 * machine quickly (other processes, clock rates); the ratios belong to model and device and move slowly. So a busy
 * neighbour slows every arm alike and changes no decision, and one late pass changes next to nothing. Of the two only
 * the product is measured: while no pass has one row, ratios that began too small would stay so and the slowness too
 * great (drafts looked cheap by 15 %, and at temperature 1 were kept though they lost as much). So a ratio is learned
 * against settled passes of one row of the same text, and only where there are some nearby.
 */
class CostModel {
  public:
    static constexpr int MAX_ROWS = 64;

    /** Passes of one row that must come before one that others are compared with: drafts slow those behind them by
     * 0.29, 0.15, 0.07 and 0.08 (two Emerald Rapids cores), as the target's data comes back into the caches. */
    static constexpr int SETTLED = 3;
    /**
     * From so many passes of one row on nothing is left of drafts before them: settled ones get quicker until then, by
     * 8 % there. Drafts that are compared with those alone look as much cheaper than plain decoding all along.
     */
    static constexpr int STEADY = 13;
    /** Steady passes of a run that they are compared with: later ones have longer contexts. */
    static constexpr int COMPARED = 4;

    /**
     * A pass of `rows` (1 to MAX_ROWS) over `context` cached tokens took `ms`, after `repeated` passes with as many
     * rows; with the first of a kind llama_decode builds its graph anew.
     */
    void add(int rows, int context, double ms, int repeated);
    /** From the quickest of several quiet passes at load: taken as it is. */
    void calibrate(int rows, double ms);
    /** From passes of one row in a row, STEADY and COMPARED, right behind one of several: how much quicker they get. */
    void calibrate_lingering(const std::vector<double>& passes);
    /** What a pass took longer because the one before it had another number of rows, and what the one behind it did. */
    void calibrate_switch(double ms, double later_ms);

    /** c(n, context), never less than for fewer rows; 1 for one row. Between measured sizes a straight line. */
    double cost(int rows, int context) const;
    /**
     * What a pass after `repeated` others with as many rows costs besides, in one-row passes. The first one (with the
     * default model, by llama_decode; on a CPU that keeps graphs what caches lack): 0.13 on two Zen 3 cores, where a
     * second row costs 0.09, 0.2 to 0.3 on Emerald Rapids, 2 on an H200. The second: 0.1 on a CPU; the CUDA backend
     * records its graph then (2.5 to 3.7, H200).
     */
    double unsettled(int repeated) const;
    /** Whether a pass of `rows` after `repeated` others is one that others are compared with. */
    static bool settled(int rows, int repeated) { return rows == 1 && repeated >= SETTLED; }
    /** Time of a one-row pass now; 0 while nothing was measured. */
    double slowness_ms() const { return slowness_ms_; }
    /** Another text, of another length: passes of one row before it are not near. */
    void begin_text();
    /** Time of one row, in plain decoding all along, by the passes before; 0 where the last settled one is too far away
     * to compare with. */
    double plain_nearby_ms() const;
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

    /** A pass as it was measured; `extra`: what it is taken to have waited for a new graph, in one-row passes. */
    struct Pass {
        int rows = 0;
        int bucket = 0;
        double ms = 0;
        double extra = 0;
    };

    static int bucket(int context);
    double steady_ms(double ms, int repeated) const;
    void learn_lingering(double ms, int repeated);
    void learn(const Pass& pass, double plain_ms);
    void changed();
    const Curve& curve(int bucket) const;

    std::array<std::array<Ratio, MAX_ROWS + 1>, BUCKETS> ratios_{};
    /** Fitted when they are asked for. */
    mutable std::array<Curve, BUCKETS> curves_{};
    mutable std::array<bool, BUCKETS> fitted_{};
    bool measured_ = false;
    double switching_ = 0;
    double settling_ = 0;
    /** What a pass that has just settled takes to one that is steady; of the present run, the mean of the former. */
    double lingering_ = 1;
    double just_settled_ms_ = 0;
    double slowness_ms_ = 0;
    double slowness_weight_ = 0;
    /** Time of one row by the last settled passes, as if they were steady, and how many other passes came since. */
    double plain_ms_ = 0;
    int since_plain_ = 0;
};

} // namespace specdiff

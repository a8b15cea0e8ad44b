#pragma once

#include <cstdint>
#include <random>

namespace specdiff {

/** Seeded random numbers, the same on every platform (the standard fixes mt19937_64's sequence). */
class Rng {
  public:
    explicit Rng(uint64_t seed) : engine_(seed) {}
    /** Uniform in [0, 1), 53 bits. */
    double uniform() { return static_cast<double>(engine_() >> 11) * 0x1.0p-53; }

  private:
    std::mt19937_64 engine_;
};

} // namespace specdiff

// What 64-bit ARM CPUs run, by what the system says: user programs can't ask the CPU itself everywhere.
#include "cpu_features.h"

#include "neon/table.h"

#if defined(__linux__)
#include <sys/auxv.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace specdiff::kernels {

namespace {

#if defined(__linux__)

// asm/hwcap.h's bits, which older systems' headers lack.
constexpr unsigned long DOTPROD_BIT = 1UL << 20; // HWCAP_ASIMDDP
constexpr unsigned long I8MM_BIT = 1UL << 13;    // HWCAP2_I8MM

bool runs_dotprod() {
    return (getauxval(AT_HWCAP) & DOTPROD_BIT) != 0;
}

[[maybe_unused]] bool runs_i8mm() {
    return (getauxval(AT_HWCAP2) & I8MM_BIT) != 0;
}

#elif defined(__APPLE__)

bool has(const char* feature) {
    int value = 0;
    size_t size = sizeof(value);
    return sysctlbyname(feature, &value, &size, nullptr, 0) == 0 && value != 0;
}

bool runs_dotprod() {
    return has("hw.optional.arm.FEAT_DotProd");
}

[[maybe_unused]] bool runs_i8mm() {
    return has("hw.optional.arm.FEAT_I8MM");
}

#else
#error "how to ask this system for the CPU's features is not known"
#endif

} // namespace

// A library holds the kernels of its CPU generation and of those below it (arm.cmake).
std::vector<const KernelTable*> usable_kernels() {
    std::vector<const KernelTable*> usable;
#ifdef SPECDIFF_I8MM
    if (runs_dotprod() && runs_i8mm()) usable.push_back(&neon::i8mm_table());
#endif
    if (runs_dotprod()) usable.push_back(&neon::dotprod_table());
    return usable;
}

} // namespace specdiff::kernels

// What x86 CPUs run, by CPUID.
#include "cpu_features.h"

#include "amx/permission.h"
#include "amx/table.h"
#include "avx2/table.h"
#include "avx512/table.h"

#include <cpuid.h>

#include <cstdint>

namespace specdiff::kernels {

namespace {

struct Registers {
    uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

Registers cpuid(uint32_t leaf, uint32_t subleaf = 0) {
    Registers r;
    __get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx);
    return r;
}

bool bit(uint32_t value, int index) {
    return ((value >> index) & 1) != 0;
}

/** XCR0: the registers that the operating system saves. */
uint64_t saved_registers() {
    uint32_t low = 0, high = 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (static_cast<uint64_t>(high) << 32) | low;
}

constexpr uint64_t YMM_STATE = 0x06, ZMM_STATE = 0xE6, TILE_STATE = 0x60000;

/** Whether the system saves all of `state`. */
bool saves(uint64_t state) {
    const bool asks = bit(cpuid(1).ecx, 27); // OSXSAVE
    return asks && (saved_registers() & state) == state;
}

bool runs_avx2() {
    const auto basic = cpuid(1);
    const bool fma = bit(basic.ecx, 12), f16c = bit(basic.ecx, 29), avx2 = bit(cpuid(7).ebx, 5);
    return saves(YMM_STATE) && fma && f16c && avx2;
}

[[maybe_unused]] bool runs_avxvnni() {
    return runs_avx2() && bit(cpuid(7, 1).eax, 4);
}

[[maybe_unused]] bool runs_avx512vnni() {
    const auto extended = cpuid(7);
    const bool f = bit(extended.ebx, 16), dq = bit(extended.ebx, 17), bw = bit(extended.ebx, 30),
               vl = bit(extended.ebx, 31), vnni = bit(extended.ecx, 11);
    return runs_avx2() && saves(ZMM_STATE) && f && dq && bw && vl && vnni;
}

#ifdef SPECDIFF_AMX
/** Says nothing of virtual machines where tile instructions trap all the same: a probe in a child process finds out. */
bool runs_amx() {
    const auto extended = cpuid(7), palette = cpuid(0x1D, 1);
    const bool tile = bit(extended.edx, 24), products = bit(extended.edx, 22), bf16 = bit(cpuid(7, 1).eax, 5);
    // Palette 1: 8 tiles of 1,024 bytes, 16 rows of 64.
    const bool shape = palette.eax >> 16 == 1024 && palette.ebx == (8u << 16 | 64u) && (palette.ecx & 0xFFFF) == 16;
    return runs_avx512vnni() && tile && products && bf16 && shape && saves(TILE_STATE) && amx::tiles_permitted();
}
#endif

} // namespace

// A library holds the kernels of its CPU generation and of those below it (CMakeLists.txt).
std::vector<const KernelTable*> usable_kernels() {
    std::vector<const KernelTable*> usable;
#ifdef SPECDIFF_AMX
    if (runs_amx()) usable.push_back(&amx::table());
#endif
#ifdef SPECDIFF_AVX512
    if (runs_avx512vnni()) usable.push_back(&avx512::table());
#endif
#ifdef SPECDIFF_AVXVNNI
    if (runs_avxvnni()) usable.push_back(&avx2::vnni_table());
#endif
    if (runs_avx2()) usable.push_back(&avx2::table());
    return usable;
}

} // namespace specdiff::kernels

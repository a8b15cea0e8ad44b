// Which kernels this CPU runs.
#pragma once

#include "kernel_table.h"

#include <vector>

namespace specdiff::kernels {

/**
 * The best table for this CPU; the environment variable SPECDIFF_KERNELS names another one, or "stock" for none. Null:
 * llama.cpp's own code computes everything.
 */
const KernelTable* kernels();

/**
 * Every table of this library that CPU and system run, best first: by CPUID and the registers that the system saves on
 * x86 (cpu_features_x86.cpp), by what the system says on ARM (cpu_features_arm.cpp).
 */
std::vector<const KernelTable*> usable_kernels();

} // namespace specdiff::kernels

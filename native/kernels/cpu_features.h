// Which kernels this CPU runs.
#pragma once

#include "kernel_table.h"

#include <vector>

namespace specdiff::kernels {

/**
 * The table for this CPU by CPUID and the registers that the system saves; the environment variable SPECDIFF_KERNELS
 * names another one, or "stock" for none. Null: llama.cpp's own code computes everything.
 */
const KernelTable* kernels();

/** Every table this CPU can run, best first. */
std::vector<const KernelTable*> usable_kernels();

} // namespace specdiff::kernels

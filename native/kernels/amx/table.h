#pragma once

#include "../kernel_table.h"

namespace specdiff::kernels::amx {

/**
 * avx512's kernels, and for prompts those on tiles. Needs what avx512's table needs, AVX512-BF16, AMX-TILE, AMX-BF16
 * and the system's permission; call only where cpu_features says so.
 */
const KernelTable& table();

} // namespace specdiff::kernels::amx

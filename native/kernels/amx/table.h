#pragma once

#include "../kernel_table.h"

namespace specdiff::kernels::amx {

/** Needs what avx512's table needs, AMX-TILE, AMX-INT8 and the system's permission; call only where cpu_features says
 * so. */
const KernelTable& table();

} // namespace specdiff::kernels::amx

#pragma once

#include "../kernel_table.h"

namespace specdiff::kernels::neon {

/** Needs ARM's dot products (FEAT_DotProd); call only where cpu_features says so. */
const KernelTable& dotprod_table();

/** Needs the 8-bit matrix products (FEAT_I8MM) as well. */
const KernelTable& i8mm_table();

} // namespace specdiff::kernels::neon

#pragma once

#include "../kernel_table.h"

namespace specdiff::kernels::avx2 {

/** Needs AVX2, FMA, F16C; call only where cpu_features says so. */
const KernelTable& table();

/** Needs AVX-VNNI besides. */
const KernelTable& vnni_table();

} // namespace specdiff::kernels::avx2

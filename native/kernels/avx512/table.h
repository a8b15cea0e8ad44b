#pragma once

#include "../kernel_table.h"

namespace specdiff::kernels::avx512 {

/** Needs AVX-512 F, BW, VL, DQ, VNNI; call only where cpu_features says so. */
const KernelTable& table();

} // namespace specdiff::kernels::avx512

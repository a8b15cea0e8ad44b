#pragma once

#include "../kernel_table.h"

namespace specdiff::kernels::avx2 {

/** Kernels of all layouts, in the order of `Layout`, with AVX2, FMA and F16C alone. */
void fill_matrix_kernels(MatrixKernels (&kernels)[6]);

/** The same with AVX-VNNI besides. Same bits. */
void fill_vnni_matrix_kernels(MatrixKernels (&kernels)[6]);

} // namespace specdiff::kernels::avx2

#pragma once

#include "../kernel_table.h"

namespace specdiff::kernels::amx {

/** The avx512 kernels, with tiles for 9 rows and more; same layouts, same bits. */
template <Layout L> MatrixKernels matrix_kernels();

} // namespace specdiff::kernels::amx

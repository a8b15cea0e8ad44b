#pragma once

#include "../kernel_table.h"

namespace specdiff::kernels::avx512 {

template <Layout L> MatrixKernels matrix_kernels();

} // namespace specdiff::kernels::avx512

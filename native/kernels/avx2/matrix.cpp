// Matrix kernels on AVX2: no byte product with 32-bit sums, so pairs are added in 16 bits.
#include "matrix.h"

#include "matrix_kernel.h"

namespace specdiff::kernels::avx2 {

namespace {

struct Avx2 {
    static constexpr bool HAS_DOT = false;
};

} // namespace

void fill_matrix_kernels(MatrixKernels (&kernels)[6]) {
    fill<Avx2>(kernels);
}

} // namespace specdiff::kernels::avx2

// Matrix kernels on AVX-VNNI: vpdpbusd with 256-bit registers, for CPUs without AVX-512.
#include "matrix.h"

#include "matrix_kernel.h"

namespace specdiff::kernels::avx2 {

namespace {

struct AvxVnni {
    static constexpr bool HAS_DOT = true;
    static __m256i dot(__m256i sum, __m256i weights, __m256i x) { return _mm256_dpbusd_avx_epi32(sum, weights, x); }
};

} // namespace

void fill_vnni_matrix_kernels(MatrixKernels (&kernels)[6]) {
    fill<AvxVnni>(kernels);
}

} // namespace specdiff::kernels::avx2

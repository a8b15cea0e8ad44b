#include "table.h"

#include "attention.h"
#include "matrix.h"

namespace specdiff::kernels::avx512 {

const KernelTable& table() {
    // Filled on first use: filling it when the library is loaded would run these instructions on any CPU.
    static const KernelTable kernels = {
        "avx512vnni",
        {matrix_kernels<Layout::u4>(), matrix_kernels<Layout::u4_min>(), matrix_kernels<Layout::u5>(),
         matrix_kernels<Layout::u5_min>(), matrix_kernels<Layout::u6>(), matrix_kernels<Layout::u8>()},
        attend,
        attention_scratch,
    };
    return kernels;
}

} // namespace specdiff::kernels::avx512

#include "table.h"

#include "../avx512/attention.h"
#include "matrix.h"

namespace specdiff::kernels::amx {

const KernelTable& table() {
    static const KernelTable kernels = {
        "amx",
        {matrix_kernels<Layout::u4>(), matrix_kernels<Layout::u4_min>(), matrix_kernels<Layout::u5>(),
         matrix_kernels<Layout::u5_min>(), matrix_kernels<Layout::u6>(), matrix_kernels<Layout::u8>()},
        avx512::attend,
        avx512::attention_scratch,
    };
    return kernels;
}

} // namespace specdiff::kernels::amx

#include "table.h"

#include "attention.h"
#include "matrix.h"

namespace specdiff::kernels::neon {

const KernelTable& i8mm_table() {
    static const KernelTable kernels = {
        "neon-i8mm",
        {i8mm_kernels<Layout::u4>(), i8mm_kernels<Layout::u4_min>(), i8mm_kernels<Layout::u5>(),
         i8mm_kernels<Layout::u5_min>(), i8mm_kernels<Layout::u6>(), i8mm_kernels<Layout::u8>()},
        attend,
        attention_scratch,
    };
    return kernels;
}

} // namespace specdiff::kernels::neon

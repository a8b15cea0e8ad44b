#include "table.h"

#include "attention.h"
#include "matrix.h"

namespace specdiff::kernels::neon {

const KernelTable& dotprod_table() {
    static const KernelTable kernels = {
        "neon-dotprod",
        {dotprod_kernels<Layout::u4>(), dotprod_kernels<Layout::u4_min>(), dotprod_kernels<Layout::u5>(),
         dotprod_kernels<Layout::u5_min>(), dotprod_kernels<Layout::u6>(), dotprod_kernels<Layout::u8>()},
        attend,
        attention_scratch,
    };
    return kernels;
}

} // namespace specdiff::kernels::neon

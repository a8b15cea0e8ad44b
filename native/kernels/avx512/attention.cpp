// Attention with vectors of 16 floats.
#include "attention.h"

#include "../attention_kernel.h"
#include "vector16.h"

namespace specdiff::kernels::avx512 {

namespace {

using Kernel = AttentionKernel<Vector16>;

} // namespace

void attend(const Attention& a, int cache_head, int begin, int end, void* scratch) {
    Kernel::attend(a, cache_head, begin, end, scratch);
}

size_t attention_scratch(int dim, int64_t cells) {
    return Kernel::scratch_bytes(dim, cells);
}

} // namespace specdiff::kernels::avx512

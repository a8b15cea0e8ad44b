#include "table.h"

#include "../avx512/attention.h"
#include "../avx512/matrix.h"
#include "prompt_attention.h"
#include "prompt_matrix.h"

namespace specdiff::kernels::amx {

namespace {

template <Layout L> MatrixKernels with_prompts() {
    auto kernels = avx512::matrix_kernels<L>();
    kernels.prompt = &prompt_kernels<L>();
    return kernels;
}

} // namespace

const KernelTable& table() {
    static const KernelTable kernels = {
        "amx",
        {with_prompts<Layout::u4>(), with_prompts<Layout::u4_min>(), with_prompts<Layout::u5>(),
         with_prompts<Layout::u5_min>(), with_prompts<Layout::u6>(), with_prompts<Layout::u8>()},
        avx512::attend,
        avx512::attention_scratch,
        &prompt_attention(),
    };
    return kernels;
}

} // namespace specdiff::kernels::amx

#pragma once

#include "../panel.h"
#include "../prompt_kernels.h"

namespace specdiff::kernels::amx {

/** Products in bf16 with sums in f32: tdpbf16ps of 16 activation rows × 32 weights of 16 output rows. */
template <Layout L> const PromptKernels& prompt_kernels();

} // namespace specdiff::kernels::amx

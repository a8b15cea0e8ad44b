#pragma once

#include "../prompt_kernels.h"

namespace specdiff::kernels::amx {

/** Attention with products in bf16 and sums in f32; see the file beside this one for what is rounded. */
const PromptAttention& prompt_attention();

} // namespace specdiff::kernels::amx

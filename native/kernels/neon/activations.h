#pragma once

#include "../panel.h"

namespace specdiff::kernels::neon {

/** Quantizes 32 floats to one ActivationBlock. A NaN or infinity makes the block's scale NaN. */
template <Layout L> void quantize(const float* x, void* block);

} // namespace specdiff::kernels::neon

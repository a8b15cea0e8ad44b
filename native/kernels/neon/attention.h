#pragma once

#include "../kernel_table.h"

namespace specdiff::kernels::neon {

void attend(const Attention& a, int cache_head, int begin, int end, void* scratch);
size_t attention_scratch(int dim, int64_t cells);

} // namespace specdiff::kernels::neon

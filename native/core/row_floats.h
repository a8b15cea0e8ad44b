#pragma once

#include <cstdint>

namespace specdiff {

/** `count` numbers of a ggml type, whole blocks of it, as floats. @throws Error where the type can't be read so. */
void to_floats(int type, const void* from, float* to, int64_t count);

} // namespace specdiff

#include "row_floats.h"

#include "error.h"

#include <ggml.h>

#include <cstddef>
#include <cstring>
#include <string>

namespace specdiff {

void to_floats(int type, const void* from, float* to, int64_t count) {
    const auto kind = static_cast<ggml_type>(type);
    if (kind == GGML_TYPE_F32) {
        std::memcpy(to, from, static_cast<size_t>(count) * sizeof(float));
        return;
    }
    const auto convert = ggml_get_type_traits(kind)->to_float;
    if (convert == nullptr)
        throw Error(std::string("A tensor is of type ") + ggml_type_name(kind) +
                    ", which can't be read: convert the model again with another.");
    convert(from, to, count);
}

} // namespace specdiff

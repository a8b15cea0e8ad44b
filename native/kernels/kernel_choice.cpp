#include "cpu_features.h"

#include <cstdlib>
#include <cstring>

namespace specdiff::kernels {

const KernelTable* kernels() {
    static const KernelTable* const chosen = []() -> const KernelTable* {
        const auto usable = usable_kernels();
        const char* wanted = std::getenv("SPECDIFF_KERNELS");
        if (wanted == nullptr || *wanted == '\0') return usable.empty() ? nullptr : usable.front();
        for (const auto* table : usable) {
            if (std::strcmp(table->name, wanted) == 0) return table;
        }
        return nullptr;
    }();
    return chosen;
}

} // namespace specdiff::kernels

// What the library tells whoever opens it: its rank among CPU libraries, and the kernels it computes with.
#include "cpu_features.h"

#include <ggml-backend-impl.h>

#include <cstddef>

// llama.cpp's own score of this CPU generation (cpu-feats.cpp, compiled under this name): 0 where it doesn't run.
extern "C" int specdiff_stock_score(void);

namespace {
/** Above the sum of all bits that llama.cpp's scores are made of, AMX included. */
constexpr int RANK = 1 << 16;

/** Above every one of llama.cpp's own libraries that runs on the same CPU; 0 where there are no kernels for it. */
int score() {
    const int stock = specdiff_stock_score();
    return stock > 0 && !specdiff::kernels::usable_kernels().empty() ? RANK + stock : 0;
}
} // namespace

GGML_BACKEND_DL_SCORE_IMPL(score)

/** Names of the kernels that this library has and this CPU runs, best first; null beyond the last. For tests. */
extern "C" __attribute__((visibility("default"))) const char* specdiff_usable_kernels(size_t index) {
    const auto usable = specdiff::kernels::usable_kernels();
    return index < usable.size() ? usable[index]->name : nullptr;
}

/** Name of the kernels in use, "avx2"; null where SPECDIFF_KERNELS leaves all to llama.cpp's own code. */
extern "C" __attribute__((visibility("default"))) const char* specdiff_kernels(void) {
    const auto* table = specdiff::kernels::kernels();
    return table == nullptr ? nullptr : table->name;
}

/** Rows up to which a row's bits don't depend on its batch, with the kernels in use; 0: there is no such limit. */
extern "C" __attribute__((visibility("default"))) int specdiff_invariant_rows(void) {
    const auto* table = specdiff::kernels::kernels();
    const bool prompts = table != nullptr && table->prompt_attention != nullptr;
    return prompts ? static_cast<int>(specdiff::kernels::INVARIANT_ROWS) : 0;
}

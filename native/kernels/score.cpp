// Ranks this library above every one of llama.cpp's own that runs on the same CPU.
#include <ggml-backend-impl.h>

// llama.cpp's own score of this CPU generation (cpu-feats.cpp, compiled under this name): 0 where it doesn't run.
extern "C" int specdiff_stock_score(void);

namespace {
/** Above the sum of all bits that llama.cpp's scores are made of, AMX included. */
constexpr int RANK = 1 << 16;

int score() {
    const int stock = specdiff_stock_score();
    return stock > 0 ? RANK + stock : 0;
}
} // namespace

GGML_BACKEND_DL_SCORE_IMPL(score)

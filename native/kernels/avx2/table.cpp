#include "table.h"

#include "attention.h"
#include "matrix.h"

namespace specdiff::kernels::avx2 {

namespace {

KernelTable make(const char* name, void (*fill)(MatrixKernels (&)[6])) {
    KernelTable table{name, {}, attend, attention_scratch};
    fill(table.matrix);
    return table;
}

} // namespace

// Filled on first use: filling them when the library is loaded would run these instructions on any CPU.

const KernelTable& table() {
    static const KernelTable kernels = make("avx2", fill_matrix_kernels);
    return kernels;
}

#ifdef SPECDIFF_AVXVNNI
const KernelTable& vnni_table() {
    static const KernelTable kernels = make("avxvnni", fill_vnni_matrix_kernels);
    return kernels;
}
#endif

} // namespace specdiff::kernels::avx2

// Operations that compute each token's row by itself, so that a thread can compute its rows of several one after
// another.
#pragma once

#include <ggml.h>

#include <cstdint>

struct ggml_compute_params;

namespace specdiff::kernels {

/** How an operation goes over tokens. */
struct RowOp {
    int64_t tokens; // 0: not an operation on rows
    int dimension;  // of the result, or of SET_ROWS' first source, that counts them
};

/** Additions, products by elements, norms, activations, rotations and rows put into a cache, of floats. What is none of
 * them has no tokens. */
RowOp row_op(const ggml_tensor* op);

/** Whether `next`, computed after `op` by threads that don't wait for each other, meets only what its own thread did.
 */
bool rows_follow(const ggml_tensor* op, const ggml_tensor* next, const RowOp& rows, const RowOp& next_rows);

/** Computes tokens [begin, end) of `op` by llama.cpp's own operation. */
void compute_rows(const ggml_compute_params* params, const ggml_tensor* op, const RowOp& rows, int64_t begin,
                  int64_t end);

} // namespace specdiff::kernels

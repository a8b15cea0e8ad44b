// Operations that compute each token's row by itself, so that a thread can compute its rows of several one after
// another.
#pragma once

#include <ggml.h>

#include <cstdint>

struct ggml_compute_params;

namespace specdiff::kernels {

/** A tensor's bytes, and where each token's begin if it has parts of tokens. */
struct Region {
    const char *begin, *end;
    bool counts;
    size_t stride;

    /** No byte in common, or the same token's bytes at the same place. */
    bool agrees_with(const Region& other) const;
};

/** How an operation goes over tokens, and what it reads and writes: of a single token, which is one thread's, nothing.
 */
struct RowOp {
    /** A rotation's sources are values, positions and frequencies' factors; to a product's two a norm's may be added.
     */
    static constexpr int MOST_READ = 3;

    int64_t tokens = 0; // 0: not an operation on rows
    int dimension = 0;  // of the result, or of SET_ROWS' first source, that counts them
    int reads = 0;
    Region read[MOST_READ];
    Region written;

    void reads_too(const Region& region) { read[reads++] = region; }
};

/** Additions, products by elements, norms, activations, rotations and rows put into a cache, of floats. What is none of
 * them has no tokens. */
RowOp row_op(const ggml_tensor* op);

/** Whether `next`, computed after `op` by threads that don't wait for each other, meets only what its own thread did.
 */
bool rows_follow(const RowOp& op, const RowOp& next);

/** Computes tokens [begin, end) of `op` by llama.cpp's own operation. */
void compute_rows(const ggml_compute_params* params, const ggml_tensor* op, const RowOp& rows, int64_t begin,
                  int64_t end);

} // namespace specdiff::kernels

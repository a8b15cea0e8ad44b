// How the threads of a graph share one operation.
#pragma once

#include <ggml-cpu-impl.h>

#include <algorithm>
#include <cstdint>

namespace specdiff::kernels {

/** Called by every thread before the barrier that `share` comes after. */
inline void begin_shares(const ggml_compute_params* params) {
    if (params->ith == 0) ggml_threadpool_chunk_set(params->threadpool, 0);
}

/**
 * Calls work(begin, end) for this thread's parts of `total` units. Half of the units are handed out evenly at once, so
 * that a thread half as fast as the others still ends with them; the rest goes in pieces to whoever gets done, so that
 * one that is held up by another program doesn't make the others wait long. (All in pieces: two processors' turns at
 * the counter were 2 % of a pass of eight rows.)
 */
template <class Work> void share(const ggml_compute_params* params, int64_t total, Work&& work) {
    const int64_t ith = params->ith, nth = params->nth, even = nth > 1 ? total / 2 : total, rest = total - even;
    work(even * ith / nth, even * (ith + 1) / nth);
    const int64_t pieces = std::min(rest, nth * 4);
    for (int64_t piece; pieces > 0 && (piece = ggml_threadpool_chunk_add(params->threadpool, 1)) < pieces;)
        work(even + rest * piece / pieces, even + rest * (piece + 1) / pieces);
}

} // namespace specdiff::kernels

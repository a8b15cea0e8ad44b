// How the threads of a graph share one operation.
#pragma once

#include "graph_hooks.h"

#include <ggml-cpu-impl.h>

#include <cstdint>

namespace specdiff::kernels {

/** Where piece `piece` of 4 · threads begins, in parts of 8 · threads: pieces of four parts, then of two, then of one.
 */
constexpr int64_t piece_begin(int64_t piece, int64_t threads) {
    if (piece <= threads) return 4 * piece;
    if (piece <= 2 * threads) return 4 * threads + 2 * (piece - threads);
    return 6 * threads + (piece - 2 * threads);
}

/**
 * Calls work(begin, end) for this thread's parts of `total` units. Half of the units are handed out evenly at once, so
 * that a thread half as fast as the others still ends with them; the rest goes in pieces to whoever gets done, so that
 * one that is held up by another program doesn't make the others wait long, and in ever smaller ones, since all wait
 * for the last. Once between two barriers. (All of it in 8 equal pieces a thread: the processors' turns at the counter
 * took 2 % of a pass of eight rows.)
 */
template <class Work> void share(const ggml_compute_params* params, int64_t total, Work&& work) {
    const int64_t ith = params->ith, nth = params->nth, even = nth > 1 ? total / 2 : total, rest = total - even;
    work(even * ith / nth, even * (ith + 1) / nth);
    if (rest == 0) return;
    const int barriers = specdiff_barriers(params->threadpool);
    for (int64_t piece; (piece = specdiff_next_piece(params->threadpool, barriers)) < 4 * nth;) {
        const auto place = [&](int64_t index) { return even + rest * piece_begin(index, nth) / (8 * nth); };
        work(place(piece), place(piece + 1));
    }
}

} // namespace specdiff::kernels

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
 * Calls work(begin, end, next) for this thread's parts of `total` units; its next part begins at `next`, −1 for none.
 * Half of the units are handed out evenly at once, so that a thread half as fast as the others still ends with them;
 * the rest goes in pieces to whoever gets done, so that one that is held up by another program doesn't make the others
 * wait long, and in ever smaller ones, since all wait for the last. A piece is taken while the one before is still to
 * be done, so that it can be fetched meanwhile. Once between two barriers. (All of it in 8 equal pieces a thread: the
 * processors' turns at the counter took 2 % of a pass of eight rows.)
 */
template <class Work> void share(const ggml_compute_params* params, int64_t total, Work&& work) {
    constexpr int64_t NONE = -1;
    const int64_t ith = params->ith, nth = params->nth, even = nth > 1 ? total / 2 : total, rest = total - even;
    const auto place = [&](int64_t piece) { return even + rest * piece_begin(piece, nth) / (8 * nth); };
    const int64_t pieces = rest > 0 ? 4 * nth : 0;
    const int barriers = specdiff_barriers(params->threadpool);
    int64_t begin = even * ith / nth, end = even * (ith + 1) / nth;
    for (;;) {
        const int64_t piece = pieces > 0 ? specdiff_next_piece(params->threadpool, barriers) : 0;
        const bool more = piece < pieces;
        work(begin, end, more ? place(piece) : NONE);
        if (!more) return;
        begin = place(piece);
        end = place(piece + 1);
    }
}

} // namespace specdiff::kernels
